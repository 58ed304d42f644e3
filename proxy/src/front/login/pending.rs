//! A login that has begun, as its browser holds it: sealed, so that it can neither read nor change it,
//! and no replica has to remember it.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use serde::{Deserialize, Serialize};

use super::cookie::{Jar, Tag};
use super::refused::Refused;
use crate::front::seal::{For, Seal, Unopened};
use crate::front::secrets::secret;

/// What logins are sealed with, and under which rules: under others, what a browser holds is nothing.
#[derive(Clone, Copy)]
pub(super) struct Seals<'s> {
    pub(super) seal: &'s Seal,
    pub(super) issuer: &'s str,
    /// Our own name there.
    pub(super) client: &'s str,
    pub(super) redirect_uri: &'s str,
}

impl<'s> Seals<'s> {
    fn bound_to(self, tag: &'s Tag) -> [&'s str; 4] {
        [tag.as_str(), self.issuer, self.client, self.redirect_uri]
    }
}

/// What must hold of the answer.
#[derive(Serialize, Deserialize)]
pub(super) struct Pending {
    pub(super) state: String,
    pub(super) nonce: String,
    pub(super) verifier: String,
    pub(super) return_to: Option<String>,
    /// Whether the issuer says of its answers that they are its own (RFC 9207).
    pub(super) signed_off: bool,
    /// In seconds since 1970.
    began: u64,
}

impl Pending {
    pub(super) fn new(return_to: Option<String>, now: SystemTime) -> Result<Self, Refused> {
        let secret = || secret().map_err(|_| Refused::Internal);
        let began = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let (state, nonce, verifier) = (secret()?, secret()?, secret()?);
        Ok(Self { state, nonce, verifier, return_to, signed_off: false, began })
    }

    pub(super) fn tag(&self) -> Tag {
        Tag::of(&self.state)
    }

    /// For the browser to keep, until its time is over.
    pub(super) fn seal(&self, seals: Seals<'_>, now: SystemTime) -> Result<String, Refused> {
        let tag = self.tag();
        let whom = seals.bound_to(&tag);
        let sealed = seals.seal.seal(For { purpose: PURPOSE, whom: &whom }, self, now + GOOD_FOR);
        sealed.ok_or(Refused::Internal)
    }

    /// The one that this browser began with that state.
    pub(super) fn find(
        state: &str,
        jar: Jar<'_>,
        seals: Seals<'_>,
        now: SystemTime,
    ) -> Result<Self, Refused> {
        let tag = Tag::of(state);
        let sealed = jar.kept(&tag).ok_or(Refused::Unknown)?;
        match Self::open(&tag, sealed, seals, now) {
            Ok(pending) if pending.is_of(state) => Ok(pending),
            Ok(_) | Err(Unopened::Foreign) => Err(Refused::Unknown),
            Err(Unopened::Expired) => Err(Refused::Expired),
        }
    }

    /// Those that have to go, so that no browser holds more than a few: what cannot be opened first, then
    /// the oldest. Others may have set them, at another port of the same host.
    pub(super) fn surplus(jar: Jar<'_>, seals: Seals<'_>, now: SystemTime) -> Vec<Tag> {
        let began = |(tag, sealed): (Tag, &str)| {
            let opened = Self::open(&tag, sealed, seals, now);
            (opened.map_or(0, |pending| pending.began), tag)
        };
        let mut all: Vec<(u64, Tag)> = jar.logins().map(began).collect();
        all.sort_by_key(|(began, _)| std::cmp::Reverse(*began));
        all.into_iter().skip(MOST - 1).map(|(_, tag)| tag).collect()
    }

    fn open(tag: &Tag, sealed: &str, seals: Seals<'_>, now: SystemTime) -> Result<Self, Unopened> {
        let whom = seals.bound_to(tag);
        seals.seal.open(For { purpose: PURPOSE, whom: &whom }, sealed, now)
    }

    fn is_of(&self, state: &str) -> bool {
        verify_slices_are_equal(self.state.as_bytes(), state.as_bytes()).is_ok()
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pending(…)")
    }
}

/// How long somebody may take to log in.
pub(super) const GOOD_FOR: Duration = Duration::from_mins(10);
const PURPOSE: &str = "login";
/// In as many tabs one may begin at once.
const MOST: usize = 5;

#[cfg(test)]
mod tests {
    use http::header::COOKIE;
    use http::{HeaderMap, HeaderValue};

    use super::*;

    const ORIGIN: &str = "https://mcp.example";
    const NOW: u64 = 1_700_000_000;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn seals(seal: &Seal) -> Seals<'_> {
        Seals {
            seal,
            issuer: "https://id.example",
            client: "postern",
            redirect_uri: "https://mcp.example/callback",
        }
    }

    /// What a browser sends that has begun these.
    fn cookies(logins: &[(&Pending, String)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (pending, sealed) in logins {
            let tag = pending.tag();
            let cookie = format!("__Host-postern-login-{}={sealed}", tag.as_str());
            headers.append(COOKIE, HeaderValue::from_str(&cookie).unwrap());
        }
        headers
    }

    fn found_after(seconds: u64) -> Result<(), Refused> {
        let seal = Seal::new(&[], &[7; 32]);
        let pending = Pending::new(None, at(NOW)).unwrap();
        let sealed = pending.seal(seals(&seal), at(NOW)).unwrap();
        let headers = cookies(&[(&pending, sealed)]);
        let jar = Jar::new(&headers, ORIGIN);
        let found = Pending::find(&pending.state, jar, seals(&seal), at(NOW + seconds));
        found.map(|found| assert_eq!(found.verifier, pending.verifier))
    }

    #[test]
    fn a_state_expires_after_ten_minutes_to_the_second() {
        assert_eq!(found_after(0), Ok(()));
        assert_eq!(found_after(599), Ok(()));
        assert_eq!(found_after(600), Err(Refused::Expired));
        assert_eq!(found_after(86_400), Err(Refused::Expired));
    }

    #[test]
    fn a_replica_whose_clock_is_behind_finishes_it_as_well() {
        let seal = Seal::new(&[], &[7; 32]);
        let pending = Pending::new(None, at(NOW)).unwrap();
        let sealed = pending.seal(seals(&seal), at(NOW)).unwrap();
        let headers = cookies(&[(&pending, sealed)]);
        let jar = Jar::new(&headers, ORIGIN);
        assert!(Pending::find(&pending.state, jar, seals(&seal), at(NOW - 5)).is_ok());
    }

    #[test]
    fn a_login_is_that_of_its_state_and_of_the_rules_it_was_begun_under() {
        let seal = Seal::new(&[], &[7; 32]);
        let (one, two) =
            (Pending::new(None, at(NOW)).unwrap(), Pending::new(None, at(NOW)).unwrap());
        let sealed = one.seal(seals(&seal), at(NOW)).unwrap();
        // Under the name of another: a cookie that somebody has moved.
        let headers = cookies(&[(&two, sealed.clone())]);
        let found = Pending::find(&two.state, Jar::new(&headers, ORIGIN), seals(&seal), at(NOW));
        assert_eq!(found.unwrap_err(), Refused::Unknown);
        let headers = cookies(&[(&one, sealed)]);
        let jar = Jar::new(&headers, ORIGIN);
        assert!(Pending::find(&one.state, jar, seals(&seal), at(NOW)).is_ok());
        let good = seals(&seal);
        for other in [
            Seals { issuer: "https://evil.example", ..good },
            Seals { client: "other", ..good },
            Seals { redirect_uri: "https://mcp.example/auth/callback", ..good },
            Seals { seal: &Seal::new(&[], &[8; 32]), ..good },
        ] {
            let found = Pending::find(&one.state, jar, other, at(NOW));
            assert_eq!(found.unwrap_err(), Refused::Unknown);
        }
    }

    #[test]
    fn a_browser_keeps_the_newest_few_and_what_is_not_ours_goes_first() {
        let seal = Seal::new(&[], &[7; 32]);
        let begun: Vec<_> = (0..5)
            .map(|minute| {
                let pending = Pending::new(None, at(NOW + 60 * minute)).unwrap();
                let sealed = pending.seal(seals(&seal), at(NOW + 60 * minute)).unwrap();
                (pending, sealed)
            })
            .collect();
        let all: Vec<_> = begun.iter().map(|(pending, sealed)| (pending, sealed.clone())).collect();
        let surplus = |logins: &[(&Pending, String)]| {
            let headers = cookies(logins);
            Pending::surplus(Jar::new(&headers, ORIGIN), seals(&seal), at(NOW + 300))
        };
        assert_eq!(surplus(&all[..4]), []);
        assert_eq!(surplus(&all), [begun[0].0.tag()], "room for the one that begins");
        let stranger = Pending::new(None, at(NOW)).unwrap();
        let mut mixed = all[1..].to_vec();
        mixed.push((&stranger, "A".repeat(40)));
        assert_eq!(surplus(&mixed), [stranger.tag()]);
    }
}
