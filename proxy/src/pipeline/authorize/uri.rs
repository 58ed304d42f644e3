//! URIs that no reader takes for another one.

/// Whether a URI stands for nothing but itself: no dots that lead elsewhere, no letters in disguise.
/// Rules compare text, and what a backend makes of the rest nobody here knows.
pub(super) fn is_clear(uri: &str) -> bool {
    let Some((scheme, rest)) = uri.split_once(':') else { return false };
    let scheme_is_plain = scheme
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte));
    let path = rest.split(['?', '#']).next().unwrap_or_default();
    let is_direct = path.split('/').all(|segment| !matches!(segment, "." | ".."));
    let is_plain = uri.chars().all(|c| !c.is_control() && !c.is_whitespace() && c != '\\');
    scheme_is_plain && is_direct && is_plain && escapes_only_what_must_be(uri)
}

/// RFC 3986 section 6.2.2.2: `%41` is an `A`, and `%2F` may be a slash. In `%zz` nobody knows.
fn escapes_only_what_must_be(uri: &str) -> bool {
    uri.split('%').skip(1).all(|after| {
        let code = after.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        code.is_some_and(|byte| {
            !byte.is_ascii_alphanumeric()
                && !b"-._~/\\%".contains(&byte)
                && !byte.is_ascii_control()
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_is_clear_if_it_stands_for_nothing_but_itself() {
        for uri in [
            "file:///docs/a",
            "otu:1",
            "postgres://db/a?x=../y",
            "file:///a%20b",
            "file:///%C3%A4",
            "a+b:c",
            "file:///a..b/.hidden",
        ] {
            assert!(is_clear(uri), "{uri}");
        }
        for uri in [
            "file:///docs/../etc",
            "file:///docs/./etc",
            "file:///docs/..",
            "file:///docs/%2e%2e/etc",
            "file:///docs%2Fetc",
            "file:///docs\\etc",
            "file:///%64ocs",
            "file:///%",
            "file:///%zz",
            "file:///%+1",
            "FILE:///docs",
            "file:///a b",
            "file:///a\n",
            "docs/a",
            "",
        ] {
            assert!(!is_clear(uri), "{uri:?}");
        }
    }
}
