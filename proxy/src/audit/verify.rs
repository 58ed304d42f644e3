//! Whether a chain of events is as it was written.

use std::io::{self, BufRead};

use super::chain::{Digest, Link, Tied};

/// Reads files of one chain, oldest first.
pub(crate) struct Verifier {
    last: Option<Link>,
    /// The digest that the first line must follow.
    after: Digest,
    /// A digest that must be there.
    seen: Option<Digest>,
    events: u64,
    torn: Vec<String>,
}

impl Verifier {
    /// `after` is the last digest of an earlier file that is not here, `seen` one that was noted.
    /// None if one of them is no digest.
    pub(crate) fn new(after: Option<&str>, seen: Option<&str>) -> Option<Self> {
        Some(Self {
            last: None,
            after: after.map_or(Some(Digest::none()), Digest::read)?,
            seen: match seen {
                Some(text) => Some(Digest::read(text)?),
                None => None,
            },
            events: 0,
            torn: Vec::new(),
        })
    }

    /// Goes on with a file of this name.
    pub(crate) fn read(&mut self, name: &str, file: impl BufRead) -> Result<(), Broken> {
        for (index, line) in file.split(b'\n').enumerate() {
            let at = || format!("{name}: line {}", index + 1);
            let line = line.map_err(|error| Broken::Unreadable(name.to_owned(), error))?;
            match Tied::read(&String::from_utf8_lossy(&line)) {
                Some(tied) => self.follow(tied).map_err(|why| Broken::At(at(), why))?,
                // What a process that was killed has left. If it was more, the next line says so.
                None => self.torn.push(at()),
            }
        }
        Ok(())
    }

    fn follow(&mut self, tied: Tied) -> Result<(), Why> {
        if !tied.is_whole {
            return Err(Why::Changed);
        }
        let expected = self.last.as_ref().map_or(&self.after, |last| &last.digest);
        if tied.previous != *expected {
            return Err(match &self.last {
                None if tied.link.number > 1 => Why::NotTheFirst(tied.link.number - 1),
                None => Why::NotAfter,
                Some(last) if tied.link.number > last.number + 1 => {
                    Why::Missing(tied.link.number - last.number - 1)
                }
                Some(last) if tied.link.number == last.number + 1 => Why::OtherBefore,
                Some(_) if tied.link.number == 1 => Why::Anew,
                Some(_) => Why::OutOfOrder,
            });
        }
        if self.seen.as_ref() == Some(&tied.link.digest) {
            self.seen = None;
        }
        self.last = Some(tied.link);
        self.events += 1;
        Ok(())
    }

    /// What there is to say when all of it was good.
    pub(crate) fn end(self) -> Result<Whole, Broken> {
        match (self.seen, self.last) {
            (Some(_), _) => Err(Broken::Unseen),
            (None, None) => Err(Broken::Empty),
            (None, Some(last)) => {
                Ok(Whole { events: self.events, digest: last.digest.to_string(), torn: self.torn })
            }
        }
    }
}

/// A chain from its first line to its last.
pub(crate) struct Whole {
    pub(crate) events: u64,
    /// To be noted elsewhere: with it, also the end cannot go unnoticed.
    pub(crate) digest: String,
    /// Lines that a process had no time to end.
    pub(crate) torn: Vec<String>,
}

/// Why a chain is not what was written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    #[error("{0}: it cannot be read: {1}")]
    Unreadable(String, #[source] io::Error),
    #[error("{0}: {1}")]
    At(String, Why),
    #[error("the digest that was seen is not there: lines at the end are missing")]
    Unseen,
    #[error("there is no event of a chain in it: was it written with audit.chain?")]
    Empty,
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Why {
    #[error("it was changed after it was written")]
    Changed,
    #[error("{0} missing before it")]
    Missing(u64),
    #[error(
        "{0} events come before it in an earlier file: name that first, or its last digest with --after"
    )]
    NotTheFirst(u64),
    #[error("it does not follow the digest in --after")]
    NotAfter,
    #[error("it follows another line than the one before it, which was put in its place")]
    OtherBefore,
    #[error("a new chain begins here, so that nothing ties it to what is before")]
    Anew,
    #[error("it is out of order, or repeated")]
    OutOfOrder,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines() -> Vec<String> {
        let mut link = Link::none();
        (0..6).map(|event| link.tie(&format!("{{\"event\":{event}}}"))).collect()
    }

    fn verified(lines: &[String]) -> Result<Whole, Broken> {
        verified_after(lines, None, None)
    }

    fn verified_after(
        lines: &[String],
        after: Option<&str>,
        seen: Option<&str>,
    ) -> Result<Whole, Broken> {
        let mut verifier = Verifier::new(after, seen).unwrap();
        verifier.read("f", lines.join("\n").as_bytes())?;
        verifier.end()
    }

    #[track_caller]
    fn breaks(change: impl FnOnce(&mut Vec<String>), at: usize, why: Why) {
        let mut lines = lines();
        change(&mut lines);
        match verified(&lines).err().unwrap() {
            Broken::At(place, found) => assert_eq!((place, found), (format!("f: line {at}"), why)),
            other @ (Broken::Unreadable(..) | Broken::Unseen | Broken::Empty) => panic!("{other}"),
        }
    }

    #[test]
    fn each_way_to_meddle_is_noticed_and_its_line_named() {
        assert_eq!(verified(&lines()).ok().unwrap().events, 6);
        breaks(|lines| lines[2] = lines[2].replace("\"event\":2", "\"event\":7"), 3, Why::Changed);
        breaks(|lines| lines[5] = lines[5].replace("\"event\":5", "\"event\":7"), 6, Why::Changed);
        breaks(|lines| drop(lines.remove(3)), 4, Why::Missing(1));
        breaks(|lines| drop(lines.drain(1..4)), 2, Why::Missing(3));
        breaks(|lines| drop(lines.remove(0)), 1, Why::NotTheFirst(1));
        breaks(|lines| lines.swap(2, 3), 3, Why::Missing(1));
        breaks(|lines| lines.insert(3, lines[2].clone()), 4, Why::OutOfOrder);
        breaks(|lines| lines.extend_from_within(..1), 7, Why::Anew);
    }

    #[test]
    fn a_line_that_is_written_anew_does_not_fit_in() {
        breaks(
            |lines| {
                let mut link = Tied::read(&lines[1]).unwrap().link;
                lines[2] = link.tie("{\"event\":7}");
            },
            4,
            Why::OtherBefore,
        );
    }

    #[test]
    fn an_end_that_was_cut_is_noticed_by_a_digest_that_was_seen() {
        let all = lines();
        let digest = verified(&all).ok().unwrap().digest;
        assert!(verified_after(&all, None, Some(&digest)).is_ok());
        assert!(matches!(verified_after(&all[..4], None, Some(&digest)), Err(Broken::Unseen)));
        assert!(verified(&all[..4]).is_ok(), "which nothing else could tell");
        assert!(Verifier::new(None, Some("abc")).is_none());
    }

    #[test]
    fn a_file_goes_on_from_the_one_before() {
        let all = lines();
        let first = verified(&all[..3]).ok().unwrap();
        assert!(verified_after(&all[3..], Some(&first.digest), None).is_ok());
        let mut both = Verifier::new(None, None).unwrap();
        both.read("a.1", all[..3].join("\n").as_bytes()).unwrap();
        both.read("a", all[3..].join("\n").as_bytes()).unwrap();
        assert_eq!(both.end().ok().unwrap().events, 6);
    }

    #[test]
    fn what_a_killed_process_leaves_spoils_nothing() {
        let mut all = lines();
        let torn = all[2].split_at(20).0.to_owned();
        all.insert(2, torn);
        let whole = verified(&all).ok().unwrap();
        assert_eq!((whole.events, whole.torn), (6, vec!["f: line 3".to_owned()]));
        assert!(matches!(verified(&[]), Err(Broken::Empty)));
    }
}
