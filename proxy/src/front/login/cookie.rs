//! Logins that have begun, in the browser that began them: a cookie each, so that two tabs do not
//! disturb each other.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue};

use crate::front::cookie::{self, Cookie};

/// Which login a cookie is of: what is left of its state when nobody can tell the state from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tag(String);

impl Tag {
    pub(super) fn of(state: &str) -> Self {
        let digest = digest(&SHA256, state.as_bytes());
        let some = digest.as_ref().get(..TAG_BYTES).unwrap_or_default();
        Self(URL_SAFE_NO_PAD.encode(some))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// The cookies of one browser, as far as they are of logins here.
#[derive(Clone, Copy)]
pub(super) struct Jar<'h> {
    headers: &'h HeaderMap,
    origin: &'h str,
}

impl<'h> Jar<'h> {
    /// `origin` is where logins end.
    pub(super) fn new(headers: &'h HeaderMap, origin: &'h str) -> Self {
        Self { headers, origin }
    }

    /// What it keeps of a login.
    pub(super) fn kept(self, tag: &Tag) -> Option<&'h str> {
        Cookie::new(&name(tag), self.origin).read(self.headers)
    }

    /// All of them.
    pub(super) fn logins(self) -> impl Iterator<Item = (Tag, &'h str)> {
        let all = cookie::beginning_with(BEGINNING, self.origin, self.headers);
        all.take(MOST_READ).map(|(tag, value)| (Tag(tag.to_owned()), value))
    }

    /// Tells the browser to keep this.
    pub(super) fn keep(self, tag: &Tag, sealed: &str, seconds: u64) -> Option<HeaderValue> {
        Cookie::new(&name(tag), self.origin).set(sealed, seconds)
    }

    /// Tells it to forget what it kept.
    pub(super) fn forget(self, tag: &Tag) -> Option<HeaderValue> {
        Cookie::new(&name(tag), self.origin).unset()
    }
}

fn name(tag: &Tag) -> String {
    format!("{BEGINNING}{}", tag.0)
}

const BEGINNING: &str = "postern-login-";
const TAG_BYTES: usize = 12;
/// More than a browser ever gets from us; what a program sends is not our business.
const MOST_READ: usize = 32;

#[cfg(test)]
mod tests {
    use http::header::COOKIE;

    use super::*;

    const ORIGIN: &str = "https://mcp.example";

    fn headers(lines: &[&str]) -> HeaderMap {
        let lines = lines.iter().map(|line| (COOKIE, HeaderValue::from_str(line).unwrap()));
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name, value);
        }
        headers
    }

    #[test]
    fn a_login_is_found_among_others_and_in_crumbs() {
        let (one, two) = (Tag::of("one"), Tag::of("two"));
        let name = |tag: &Tag| format!("__Host-postern-login-{}", tag.as_str());
        let line = format!("a=b; {}=1 ;x; {}x=3", name(&one), name(&one));
        let crumb = format!("{}=2; host-postern-login-{}=4", name(&two), two.as_str());
        let headers = headers(&[&line, &crumb]);
        let jar = Jar::new(&headers, ORIGIN);
        assert_eq!((jar.kept(&one), jar.kept(&two)), (Some("1"), Some("2")));
        assert_eq!(jar.kept(&Tag::of("three")), None);
        assert_eq!(jar.logins().count(), 3, "the one with a longer name is another login's");
    }

    #[test]
    fn what_somebody_else_has_set_beside_it_makes_it_nobodys() {
        let tag = Tag::of("one");
        let line = format!("__Host-postern-login-{0}=1; __Host-postern-login-{0}=2", tag.as_str());
        assert_eq!(Jar::new(&headers(&[&line]), ORIGIN).kept(&tag), None);
    }

    #[test]
    fn nobody_can_tell_the_state_from_its_tag() {
        let tag = Tag::of("a state");
        assert_eq!(tag.as_str().len(), 16);
        assert_ne!(tag, Tag::of("a statf"));
    }
}
