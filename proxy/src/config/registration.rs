//! What `postern register` is told: a file of its own, since the configuration may refer to what comes of it.

use std::path::PathBuf;

use super::check::{outbound, value};
use super::file::{self, References, Section};
use super::{Invalid, Issuer, OutboundRules, Secret};

/// This gateway, as it registers with an authorization server.
#[derive(Debug)]
pub(crate) struct Registration {
    /// Where.
    pub(crate) issuer: Issuer,
    /// Where people are to be sent back to.
    pub(crate) redirect_uris: Vec<String>,
    /// What people are shown.
    pub(crate) name: String,
    /// Leave to register, where not everybody has it.
    pub(crate) initial_access_token: Option<Secret>,
    /// Where what is given is kept.
    pub(crate) directory: PathBuf,
    /// What may be dialled.
    pub(crate) outbound: OutboundRules,
}

impl Registration {
    /// Reads a file.
    pub(crate) fn parse(text: &str) -> Result<Self, Invalid> {
        match file::read(text, References::Followed, registration) {
            Ok(Some(registration)) => Ok(registration),
            // Unreachable by construction: what is missing has been noted.
            Ok(None) => Err(Invalid::new(Vec::new())),
            Err(problems) => Err(Invalid::new(problems)),
        }
    }
}

fn registration(mut root: Section<'_>) -> Option<Registration> {
    let fix = "write the authorization server's issuer, exactly as its metadata spells it";
    let issuer = root.required("issuer", value::issuer, fix);
    let fix = "write redirect_uris: ['https://mcp.example.com/oauth/callback']";
    if !root.has("redirect_uris") {
        root.required("redirect_uris", value::text, fix);
    }
    let uris = root.list("redirect_uris", value::link);
    let name = root.optional("name", value::text);
    let token = root.has("initial_access_token").then(|| {
        root.required_secret("initial_access_token", "write the token, or remove the line")
    });
    let fix = "name a directory of this gateway's own: it is made, if it is not there";
    let directory = root.required("directory", value::path, fix);
    let outbound = outbound(&mut root);
    Some(Registration {
        issuer: issuer?,
        redirect_uris: uris?.into_iter().map(String::from).collect(),
        name: name.unwrap_or_else(|| "Postern".into()),
        initial_access_token: token.flatten(),
        directory: directory?,
        outbound,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "issuer: https://id.example\nredirect_uris: ['https://mcp.example/oauth/callback']\n\
         initial_access_token: s3cret\ndirectory: /etc/postern/client\n";

    #[test]
    fn a_registration_says_where_and_keeps_its_secret() {
        let good = Registration::parse(GOOD).unwrap();
        assert_eq!(good.redirect_uris, ["https://mcp.example/oauth/callback"]);
        assert_eq!(good.name, "Postern");
        assert!(!format!("{good:?}").contains("s3cret"));
        for (from, to) in [
            ("issuer: https://id.example\n", ""),
            ("https://mcp", "http://mcp"),
            ("directory: /etc/postern/client\n", ""),
            ("directory", "directroy"),
        ] {
            let told = Registration::parse(&GOOD.replace(from, to)).unwrap_err().to_string();
            assert!(!told.contains("s3cret"), "{told}");
        }
    }
}
