//! Files that others may replace at any time.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

/// One file, to be read again and again.
pub(crate) struct Watched {
    path: PathBuf,
    most: u64,
    reading: Option<Reading>,
}

type Reading = JoinHandle<io::Result<Vec<u8>>>;

impl Watched {
    /// Of which no more than `most` bytes are read.
    pub(crate) fn new(path: PathBuf, most: u64) -> Self {
        Self { path, most, reading: None }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Only a regular file, only so much of it, and only for so long: a pipe or a dead mount would be
    /// waited for for ever.
    pub(crate) async fn read(&mut self) -> io::Result<Vec<u8>> {
        let (path, most) = (self.path.clone(), self.most);
        self.read_by(move || read(&path, most), PATIENCE).await
    }

    async fn read_by(
        &mut self,
        read: impl FnOnce() -> io::Result<Vec<u8>> + Send + 'static,
        patience: Duration,
    ) -> io::Result<Vec<u8>> {
        let reading = async {
            // A dead mount keeps the thread that touched it, and never gives it back: no second one.
            if let Some(hanging) = &mut self.reading {
                drop(hanging.await);
            }
            let content = self.reading.insert(spawn_blocking(read)).await;
            self.reading = None;
            content?
        };
        timeout(patience, reading).await.unwrap_or_else(|late| Err(late.into()))
    }
}

/// What is tried when it has been seen twice alike, because nobody is in the middle of writing it then.
pub(crate) struct Settling<T> {
    seen: T,
    tried: T,
}

impl<T: Clone + PartialEq> Settling<T> {
    /// `now` is in force.
    pub(crate) fn new(now: T) -> Self {
        Self { seen: now.clone(), tried: now }
    }

    /// Notes what is there now; tells whether to try it.
    pub(crate) fn has_settled(&mut self, now: &T) -> bool {
        let settled = *now == self.seen && *now != self.tried;
        self.seen.clone_from(now);
        if settled {
            self.tried.clone_from(now);
        }
        settled
    }

    /// It is tried as it is.
    pub(crate) fn hurry(&mut self, now: &T) {
        self.tried.clone_from(now);
    }
}

fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut content = Vec::new();
    // One byte more, to tell what is cut off from what is whole.
    fs::File::open(path)?.take(most + 1).read_to_end(&mut content)?;
    if content.len() as u64 > most {
        return Err(io::Error::other(format!("it is larger than {most} bytes")));
    }
    Ok(content)
}

const PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_file_that_hangs_is_not_touched_again_before_it_answers() {
        let mut file = Watched::new(PathBuf::new(), 0);
        let (begun, begins) = mpsc::channel();
        let (answer, answers) = mpsc::channel::<()>();
        let hang = {
            let begun = begun.clone();
            move || {
                begun.send("first").unwrap();
                answers.recv().unwrap();
                Ok(b"old".to_vec())
            }
        };
        let soon = Duration::from_millis(20);
        assert_eq!(file.read_by(hang, soon).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        for _ in 0..3 {
            let begun = begun.clone();
            let read = move || {
                begun.send("beside it").unwrap();
                Ok(Vec::new())
            };
            assert_eq!(file.read_by(read, soon).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        }
        assert_eq!(begins.try_iter().collect::<Vec<_>>(), ["first"]);
        answer.send(()).unwrap();
        let read = || Ok(b"new".to_vec());
        assert_eq!(file.read_by(read, PATIENCE).await.unwrap(), b"new", "not what came too late");
        assert_eq!(file.read_by(read, PATIENCE).await.unwrap(), b"new");
    }

    #[test]
    fn what_changes_is_tried_once_and_only_when_it_stands_still() {
        let mut file = Settling::new(1);
        let told = [1, 1, 2, 3, 3, 3, 1, 1, 1, 4, 1, 1].map(|now| file.has_settled(&now));
        let tried: Vec<usize> = (0..told.len()).filter(|&at| told[at]).collect();
        assert_eq!(tried, [4, 7]);
        assert!(!file.has_settled(&5));
        file.hurry(&5);
        assert!(!file.has_settled(&5), "it was tried");
    }

    #[tokio::test]
    async fn only_regular_files_that_are_not_too_large_are_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs::write(&path, "four").unwrap();
        assert_eq!(Watched::new(path.clone(), 4).read().await.unwrap(), b"four");
        assert!(Watched::new(path, 3).read().await.is_err());
        assert!(Watched::new(directory.path().to_owned(), 3).read().await.is_err());
        assert!(Watched::new("/dev/null".into(), 3).read().await.is_err());
        assert!(Watched::new("/no/such".into(), 3).read().await.is_err());
    }
}
