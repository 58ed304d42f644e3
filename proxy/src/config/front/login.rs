//! How people log in here.

use http::HeaderName;
use url::Url;

use crate::config::{ClientAuthentication, Resource, Secret};

/// What a login is for, where it goes on, and where it ends.
#[derive(Clone, Debug)]
pub struct Login {
    /// What its tokens are for.
    pub resource: Resource,
    /// Where the issuer sends people back to; one of ours.
    pub redirect_uri: String,
    /// Where people may be led when it is over, to the letter.
    pub return_to: Vec<String>,
    /// Who is asked, and how.
    pub through: Through,
}

/// Who logs people in.
#[derive(Clone, Debug)]
pub enum Through {
    /// The issuer itself, as OAuth says.
    Issuer {
        /// Who we are to it.
        client: OwnClient,
        /// What is asked for.
        scopes: Vec<String>,
    },
    /// A broker in front of it, with a dialect of its own.
    Broker(Box<Broker>),
}

/// Our own name at an issuer, and what proves it.
#[derive(Clone, Debug)]
pub struct OwnClient {
    /// The name.
    pub id: String,
    /// None: a public client.
    pub secret: Option<(Secret, ClientAuthentication)>,
}

/// A broker of identities, where each step is a POST.
#[derive(Clone, Debug)]
pub struct Broker {
    /// Tells where to send people.
    pub authorize: Url,
    /// Gives tokens for a code.
    pub login: Url,
    /// Gives tokens for a refresh token.
    pub refresh: Url,
    /// In which header each request has a name of its own.
    pub trace_header: HeaderName,
}
