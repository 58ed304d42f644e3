//! Texts of the file, and what they mean.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use url::{Host, Url};

/// What nobody may see.
#[derive(Clone)]
pub(crate) struct Secret(Box<str>);

impl Secret {
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// The one line of a file.
    pub(super) fn read(path: &str) -> Result<Self, String> {
        let text = std::fs::read_to_string(Path::new(path))
            .map_err(|error| format!("{path}: cannot be read: {error}"))?;
        let secret = text.trim_end_matches(['\r', '\n']);
        if secret.is_empty() {
            return Err(format!("{path}: the file is empty; put the secret into it"));
        }
        Ok(Self(secret.into()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Somewhere that a credential may be sent to.
pub(super) fn endpoint(text: &str) -> Result<Url, String> {
    let url = Url::parse(text)
        .map_err(|error| format!("{text}: not a URL ({error}); write https://host/path"))?;
    if !(url.scheme() == "https" || url.scheme() == "http" && is_loopback(&url)) {
        return Err(format!(
            "{text}: would carry a credential in clear; use https (http on loopback only)"
        ));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("holds a user name or a password; leave them out".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(format!("{text}: has a query or a fragment; leave it out"));
    }
    Ok(url)
}

/// The base and what follows it, still on the host of the base.
pub(super) fn below(base: &Url, path: &str) -> Result<Url, String> {
    let refuse = |why: &str| Err(format!("{path}: {why}; write a path like /teams"));
    if !path.starts_with('/') {
        return refuse("does not begin with /");
    }
    let text = format!("{}{path}", base.as_str().trim_end_matches('/'));
    match Url::parse(&text) {
        Ok(url) if url.fragment().is_some() => refuse("has a fragment"),
        Ok(url) if url.origin() == base.origin() && !path.starts_with("//") => Ok(url),
        Ok(_) => refuse("leads to another host"),
        Err(_) => refuse("not the path of a URL"),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// `500ms`, `10s` or `1m`, and no longer than [`LONGEST`].
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|unit: char| unit.is_ascii_alphabetic());
    let unit = text.strip_prefix(digits).unwrap_or_default();
    let duration = digits.parse().ok().and_then(|number: u64| match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_secs(number.checked_mul(60)?)),
        _ => None,
    });
    duration
        .filter(|duration| !duration.is_zero() && *duration <= LONGEST)
        .ok_or_else(|| format!("{text}: not a duration; write 500ms, 10s or 1m, up to 5m"))
}

const LONGEST: Duration = Duration::from_mins(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_durations() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("5m"), Ok(LONGEST));
        for text in ["", "s", "10", "0s", "-1s", "1h", "6m", "1.5s", "99999999999999999999m"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn credentials_go_in_clear_only_where_nobody_else_can_listen() {
        for text in ["https://otus.example/api", "http://127.0.0.1:8000", "http://[::1]/x"] {
            assert!(endpoint(text).is_ok(), "{text}");
        }
        for text in ["http://otus.example", "ftp://localhost", "otus.example", "http://10.0.0.1"] {
            assert!(endpoint(text).is_err(), "{text}");
        }
        assert!(!endpoint("https://me:secret@otus.example").unwrap_err().contains("secret"));
    }
}
