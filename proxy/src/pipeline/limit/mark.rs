//! What somebody is counted under.

use std::hash::{BuildHasher as _, Hash, Hasher, RandomState};
use std::net::IpAddr;

/// A keyed hash of whom it stands for. That two of 65,536 share one by chance is as likely as to guess
/// a number of ten digits at once; they would share what they may use, and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark(pub(super) u64);

/// The key is random and of this process: nobody can choose whom they are taken for.
#[derive(Default)]
pub(super) struct Marker(RandomState);

impl Marker {
    pub(super) fn mark(&self, whose: &Whose<'_>) -> Mark {
        Mark(self.0.hash_one(whose))
    }
}

/// Whom a count is about. Each text is hashed with an end that no text can hold, so that no two of
/// them run together.
#[derive(Clone, Copy, Hash)]
pub(super) enum Whose<'a> {
    Source(Source),
    Visitor(Source),
    Site(&'a str),
    Principal { site: Mark, issuer: &'a str, subject: &'a str },
    Client { site: Mark, issuer: &'a str, client: &'a str },
}

/// One customer of somebody's network, as far as addresses tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Source {
    V4(u32),
    /// The least that a customer is given (RFC 6177): whoever has one address has 2^64.
    V6(u64),
}

impl Source {
    pub(super) fn of(address: IpAddr) -> Self {
        // A listener for both families sees IPv4 inside IPv6.
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.to_bits()),
            IpAddr::V6(address) => {
                Self::V6(u64::try_from(address.to_bits() >> 64).unwrap_or_default())
            }
        }
    }
}

impl Hash for Mark {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0);
    }
}

/// A mark has been hashed already.
#[derive(Default)]
pub(super) struct MarkHasher(u64);

impl Hasher for MarkHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |all, byte| all.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, mark: u64) {
        self.0 = mark;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(address: &str) -> Source {
        Source::of(address.parse().unwrap())
    }

    #[test]
    fn a_source_is_an_ipv4_address_or_64_bits_of_ipv6() {
        assert_eq!(source("2001:db8:1:2::1"), source("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(source("2001:db8:1:2::1"), source("2001:db8:1:3::1"));
        assert_ne!(source("192.0.2.1"), source("192.0.2.2"));
        assert_eq!(source("::ffff:192.0.2.1"), source("192.0.2.1"));
        assert_ne!(source("::ffff:192.0.2.1"), source("::ffff:192.0.2.2"), "not all one /64");
    }

    #[test]
    fn texts_do_not_run_together_and_kinds_do_not_meet() {
        let marker = Marker::default();
        let [site, other] = ["s", "sa"].map(|site| marker.mark(&Whose::Site(site)));
        let principal = |site, issuer, subject| Whose::Principal { site, issuer, subject };
        let all = [
            principal(site, "a", "bc"),
            principal(site, "ab", "c"),
            principal(other, "a", "bc"),
            principal(site, "", "abc"),
            principal(site, "a\u{ff}", "bc"),
            principal(site, "a", "\u{ff}bc"),
            principal(site, "a\0b", "c"),
            principal(site, "a", "b\0c"),
            principal(site, "a|b", "c"),
            principal(site, "a", "b|c"),
            Whose::Client { site, issuer: "a", client: "bc" },
            Whose::Site("abc"),
            Whose::Source(Source::V4(0)),
            Whose::Source(Source::V6(0)),
        ];
        for (index, one) in all.iter().enumerate() {
            for other in &all[..index] {
                assert_ne!(marker.mark(one), marker.mark(other), "{index}");
            }
            assert_eq!(marker.mark(one), marker.mark(one));
            let elsewhere = Marker::default().mark(one);
            assert_ne!(elsewhere, marker.mark(one), "another process");
        }
    }
}
