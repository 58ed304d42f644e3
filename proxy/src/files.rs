//! Files that others may replace at any time.

use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;

/// Only a regular file, only so much of it, and only for so long: a pipe or a dead mount would be
/// waited for for ever.
pub(crate) async fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let reading = async {
        if !tokio::fs::metadata(path).await?.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        let mut content = Vec::new();
        let file = tokio::fs::File::open(path).await?;
        // One byte more, to tell what is cut off from what is whole.
        file.take(most + 1).read_to_end(&mut content).await?;
        if content.len() as u64 > most {
            return Err(io::Error::other(format!("it is larger than {most} bytes")));
        }
        Ok(content)
    };
    timeout(PATIENCE, reading).await.unwrap_or_else(|late| Err(late.into()))
}

const PATIENCE: Duration = Duration::from_secs(5);
