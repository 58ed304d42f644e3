//! Cookies, by which what somebody does is bound to one browser.

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

/// A cookie of one origin's.
#[derive(Clone, Copy)]
pub(super) struct Cookie<'a> {
    name: &'a str,
    /// Browsers take a cookie with a name of this kind from nobody else, neither from a page beside us nor
    /// over plain HTTP, which they may not use at all.
    prefix: &'static str,
    attributes: &'a str,
}

impl<'a> Cookie<'a> {
    /// `origin` is the site's own. Only on loopback it may be without TLS.
    pub(super) fn new(name: &'a str, origin: &str) -> Self {
        let prefix = prefix(origin);
        // Lax: the issuer sends the browser back from another site.
        if !prefix.is_empty() {
            let attributes = "; Path=/; Secure; HttpOnly; SameSite=Lax";
            return Self { name, prefix, attributes };
        }
        Self { name, prefix, attributes: "; Path=/; HttpOnly; SameSite=Lax" }
    }

    /// Its value, if there is one and no more.
    pub(super) fn read(self, headers: &HeaderMap) -> Option<&str> {
        let mut ours =
            all(headers).filter(|(name, _)| name.strip_prefix(self.prefix) == Some(self.name));
        let value = ours.next()?.1;
        ours.next().is_none().then_some(value?)
    }

    /// Sets it, for so many seconds. `value` is made of what cookies may be made of.
    pub(super) fn set(self, value: &str, seconds: u64) -> Option<HeaderValue> {
        let Self { name, prefix, attributes } = self;
        let text = format!("{prefix}{name}={value}; Max-Age={seconds}{attributes}");
        let mut value = HeaderValue::from_str(&text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// Takes it back.
    pub(super) fn unset(self) -> Option<HeaderValue> {
        self.set("", 0)
    }
}

/// Those of the origin's whose names begin so: how each goes on, and its value.
pub(super) fn beginning_with<'h>(
    name: &'static str,
    origin: &str,
    headers: &'h HeaderMap,
) -> impl Iterator<Item = (&'h str, &'h str)> {
    let prefix = prefix(origin);
    all(headers).filter_map(move |(whole, value)| {
        Some((whole.strip_prefix(prefix)?.strip_prefix(name)?, value?))
    })
}

fn all(headers: &HeaderMap) -> impl Iterator<Item = (&str, Option<&str>)> {
    let fields = headers.get_all(COOKIE).iter().filter_map(|field| field.to_str().ok());
    fields.flat_map(|field| field.split(';')).map(|pair| match pair.trim().split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (pair.trim(), None),
    })
}

fn prefix(origin: &str) -> &'static str {
    if origin.starts_with("https:") { "__Host-" } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(origin: &str, fields: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(COOKIE, field.parse().unwrap());
        }
        Cookie::new("postern", origin).read(&headers).map(str::to_owned)
    }

    #[test]
    fn a_cookie_is_read_by_its_whole_name_and_only_if_there_is_one() {
        let (tls, plain) = ("https://mcp.example", "http://127.0.0.1:8000");
        assert_eq!(read(tls, &["a=b; __Host-postern=x=y;c"]).as_deref(), Some("x=y"));
        assert_eq!(read(plain, &["a=b", "postern=x"]).as_deref(), Some("x"));
        for fields in [
            &["postern=x"][..],
            &["__Host-postern=x; __Host-postern=y"],
            &["__Host-postern=x", "__Host-postern=x"],
            &["__host-postern=x"],
            &["__Host-postern2=x"],
            &["__Host-postern"],
            &[],
        ] {
            assert_eq!(read(tls, fields), None, "{fields:?}");
        }
        assert_eq!(read(plain, &["__Host-postern=x"]), None);
    }

    #[test]
    fn nobody_but_this_host_reads_or_sets_it() {
        let set = Cookie::new("postern", "https://mcp.example").set("x", 600).unwrap();
        assert_eq!(
            set.to_str().unwrap(),
            "__Host-postern=x; Max-Age=600; Path=/; Secure; HttpOnly; SameSite=Lax"
        );
        let gone = Cookie::new("postern", "http://localhost:1").unset().unwrap();
        assert_eq!(gone.to_str().unwrap(), "postern=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax");
    }
}
