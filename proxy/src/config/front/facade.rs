//! Standing in for an issuer where it registers no clients, or cannot be asked as clients ask.

use super::login::OwnClient;

/// One client of ours at the issuer, for all who come.
#[derive(Clone, Debug)]
pub struct Facade {
    /// Who we are to the issuer.
    pub client: OwnClient,
    /// Where clients may have people sent back to.
    pub redirect_uris: Vec<RedirectUri>,
    /// Whether a client may be named by the address of a document about it.
    pub documents: bool,
}

/// An address that people may be sent back to: compared to the letter, but for the port of a program on
/// their own machine, which nobody knows before it runs (RFC 8252 section 7.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedirectUri(String);

impl RedirectUri {
    pub(in crate::config) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Whether a client that asks for `presented` means this one.
    pub(crate) fn matches(&self, presented: &str) -> bool {
        is_same(&self.0, presented)
    }
}

/// Whether `presented` is `known`, or the same on another port of this machine.
pub(crate) fn is_same(known: &str, presented: &str) -> bool {
    // Compared as they are: what two parsers read in two ways is no address that anybody listed.
    known == presented
        || on_loopback(known)
            .is_some_and(|(host, rest)| on_loopback(presented) == Some((host, rest)))
}

/// Host and path of a program on its user's machine, without the port.
fn on_loopback(uri: &str) -> Option<(&str, &str)> {
    let after = uri.strip_prefix("http://")?;
    LOOPBACK.iter().find_map(|host| {
        let rest = after.strip_prefix(host)?;
        let rest = match rest.strip_prefix(':') {
            Some(port) => {
                let rest = port.trim_start_matches(|digit: char| digit.is_ascii_digit());
                let digits = port.len() - rest.len();
                Some(rest).filter(|_| (1..=5).contains(&digits))?
            }
            None => rest,
        };
        (rest.is_empty() || rest.starts_with(['/', '?'])).then_some((*host, rest))
    })
}

const LOOPBACK: [&str; 3] = ["127.0.0.1", "[::1]", "localhost"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_itself_and_nothing_like_it() {
        let listed = RedirectUri::new("https://app.example/callback");
        assert!(listed.matches("https://app.example/callback"));
        for other in [
            "https://app.example/callback/",
            "https://app.example/callback?x",
            "https://app.example/callback#x",
            "https://app.example/Callback",
            "https://app.example:443/callback",
            "https://app.example//callback",
            "https://app.example/./callback",
            "https://app.example/%63allback",
            "https://APP.example/callback",
            "https://app.example.evil.example/callback",
            "https://app.example@evil.example/callback",
            "https://evil.example/https://app.example/callback",
            "http://app.example/callback",
            "//app.example/callback",
            "https:app.example/callback",
            "https:\\\\app.example/callback",
            " https://app.example/callback",
            "https://app.example/callback ",
            "",
        ] {
            assert!(!listed.matches(other), "{other:?}");
        }
    }

    #[test]
    fn a_program_on_the_own_machine_may_have_any_port_and_nothing_else() {
        let listed = RedirectUri::new("http://127.0.0.1/callback");
        for port in ["", ":1", ":8080", ":65535"] {
            assert!(listed.matches(&format!("http://127.0.0.1{port}/callback")), "{port}");
        }
        for other in [
            "http://127.0.0.1:/callback",
            "http://127.0.0.1:123456/callback",
            "http://127.0.0.1:80@evil.example/callback",
            "http://127.0.0.1@evil.example/callback",
            "http://127.0.0.1.evil.example/callback",
            "http://127.0.0.1:80.evil.example/callback",
            "http://127.0.0.10/callback",
            "http://127.0.0.1:80\\@evil.example/callback",
            "http://localhost:80/callback",
            "http://[::1]:80/callback",
            "https://127.0.0.1:80/callback",
            "http://127.0.0.1:80/callback/..",
            "http://127.0.0.1:80//callback",
            "http://127.0.0.1:+80/callback",
            "http://2130706433/callback",
        ] {
            assert!(!listed.matches(other), "{other:?}");
        }
        assert!(RedirectUri::new("http://localhost:3334/cb").matches("http://localhost:9/cb"));
        assert!(RedirectUri::new("http://[::1]/cb").matches("http://[::1]:9/cb"));
        assert!(!RedirectUri::new("https://a.example/cb").matches("https://a.example:9/cb"));
    }
}
