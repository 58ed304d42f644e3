//! Where the OAuth front answers, and what its answers look like. What it answers it finds out by asking
//! others, so that the pipeline only recognises who is to be asked.

mod reply;

use http::Method;

use super::site::Site;
use crate::config;
pub use reply::Reply;

/// A request that the front answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Visit {
    /// What is asked for.
    pub place: Place,
    /// Scheme, host and port as clients are given them, whatever name this one came by.
    pub origin: Box<str>,
}

/// A place where the front answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The issuer's metadata, under every name by which clients look for it.
    Mirror,
    /// Where a login begins.
    Login,
    /// Where it ends.
    Callback,
    /// New tokens for a refresh token.
    Refresh,
    /// Where clients get names.
    Register,
    /// Where they send people.
    Authorize,
    /// Where people say whether they want that.
    Consent,
    /// Where the issuer sends people back to, for the client that sent them.
    HandBack,
    /// Where clients get tokens.
    Token,
}

/// Who may read an answer from a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readers {
    /// Every page: it is meant for everybody.
    Anybody,
    /// The site's pages, and those that may call it.
    Listed,
}

impl Place {
    /// With what methods it can be asked.
    pub(super) fn methods(self) -> &'static str {
        match self {
            Self::Mirror => "GET, HEAD, OPTIONS",
            // To look at the head alone would begin or end it as well.
            Self::Login | Self::Callback | Self::Authorize | Self::HandBack => "GET",
            Self::Consent => "POST",
            Self::Refresh | Self::Register | Self::Token => "POST, OPTIONS",
        }
    }

    pub(super) fn answers(self, method: &Method) -> bool {
        self.methods().split(", ").any(|known| known == method.as_str())
    }

    /// Whether pages ask for it by themselves, rather than people who go there.
    pub(super) fn readers(self) -> Readers {
        match self {
            Self::Mirror => Readers::Anybody,
            Self::Login
            | Self::Callback
            | Self::Refresh
            | Self::Register
            | Self::Authorize
            | Self::Consent
            | Self::HandBack
            | Self::Token => Readers::Listed,
        }
    }

    /// Whether each visit may make us ask somebody else.
    pub(super) fn is_limited(self) -> bool {
        match self {
            // It is fetched in its own time, whoever asks.
            Self::Mirror => false,
            Self::Login
            | Self::Callback
            | Self::Refresh
            | Self::Register
            | Self::Authorize
            | Self::Consent
            | Self::HandBack
            | Self::Token => true,
        }
    }

    fn is_on(self, front: &config::Front) -> bool {
        match self {
            Self::Mirror => front.mirror || front.facade.is_some(),
            Self::Register | Self::Authorize | Self::Token => {
                front.aliases || front.facade.is_some()
            }
            Self::Consent | Self::HandBack => front.facade.is_some(),
            Self::Login | Self::Callback | Self::Refresh => front.login.is_some(),
        }
    }
}

/// The places that are turned on.
#[derive(Debug, Default)]
pub(super) struct Places {
    fixed: Box<[(&'static str, Place)]>,
    mirror: bool,
    /// Where people log in: what their browsers keep is one host's.
    login: Option<String>,
}

impl Places {
    pub(super) fn new(front: Option<&config::Front>) -> Self {
        let Some(front) = front else { return Self::default() };
        let fixed = FIXED.iter().filter(|(_, place)| place.is_on(front)).copied();
        let login = front.login.as_ref().map(|login| login.resource.origin());
        Self { fixed: fixed.collect(), mirror: Place::Mirror.is_on(front), login }
    }

    /// What is at this path of the host that `sites` have. Each matches to the letter: what is public is
    /// never so by a pattern.
    pub(super) fn at<'s, Here: Iterator<Item = &'s Site>>(
        &self,
        path: &str,
        mut sites: Here,
    ) -> Option<Place> {
        if let Some((_, place)) = self.fixed.iter().find(|(fixed, _)| *fixed == path) {
            let mut is_of = |origin: &String| sites.any(|site| site.resource().origin() == *origin);
            return match place {
                Place::Login | Place::Callback | Place::Refresh => {
                    self.login.as_ref().is_some_and(&mut is_of).then_some(*place)
                }
                Place::Mirror
                | Place::Register
                | Place::Authorize
                | Place::Consent
                | Place::HandBack
                | Place::Token => Some(*place),
            };
        }
        let mut sites = sites.map(Site::endpoint);
        (self.mirror && sites.any(|endpoint| is_metadata(path, endpoint))).then_some(Place::Mirror)
    }
}

/// RFC 8414 puts the path of what is asked about behind the well-known part, `OpenID` Connect before it;
/// clients that know only where this server is ask for its path, and for none. Some put a slash at the end.
fn is_metadata(path: &str, endpoint: &str) -> bool {
    let path = path.strip_suffix('/').unwrap_or(path);
    let inserted = WELL_KNOWN.iter().filter_map(|known| path.strip_prefix(known));
    let appended = path.strip_suffix(OPENID);
    inserted.chain(appended).any(|rest| rest.is_empty() || rest == endpoint)
}

const OPENID: &str = "/.well-known/openid-configuration";
const WELL_KNOWN: [&str; 2] = ["/.well-known/oauth-authorization-server", OPENID];

/// Every other place has one path, or a few, whatever the resource's is.
const FIXED: [(&str, Place); 10] = [
    ("/login", Place::Login),
    ("/auth/start", Place::Login),
    ("/callback", Place::Callback),
    ("/auth/callback", Place::Callback),
    ("/auth/refresh", Place::Refresh),
    ("/register", Place::Register),
    ("/authorize", Place::Authorize),
    ("/oauth/consent", Place::Consent),
    ("/oauth/callback", Place::HandBack),
    ("/token", Place::Token),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_where_clients_look_and_nowhere_else() {
        for path in [
            "/.well-known/oauth-authorization-server",
            "/.well-known/oauth-authorization-server/",
            "/.well-known/oauth-authorization-server/mcp",
            "/.well-known/oauth-authorization-server/mcp/",
            "/.well-known/openid-configuration",
            "/.well-known/openid-configuration/mcp",
            "/mcp/.well-known/openid-configuration",
        ] {
            assert!(is_metadata(path, "/mcp"), "{path}");
        }
        for path in [
            "/.well-known/oauth-authorization-serverx",
            "/.well-known/oauth-authorization-server/mc",
            "/.well-known/oauth-authorization-server/mcp/x",
            "/.well-known/openid-configuration/other",
            "/mcp/.well-known/oauth-authorization-server",
            "/mcp/x/.well-known/openid-configuration",
            "/other/.well-known/openid-configuration",
            "/mcp",
            "/",
        ] {
            assert!(!is_metadata(path, "/mcp"), "{path}");
        }
        assert!(is_metadata("/.well-known/openid-configuration", ""));
    }
}
