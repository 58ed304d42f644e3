//! The configuration, checked: holding a [`Config`] means every rule held.

mod audit;
mod backend_tls;
mod check;
mod condition;
mod deny;
mod dpop;
mod file;
pub(crate) mod front;
mod invalid;
mod issuer;
mod log;
mod network;
mod policy;
mod proxies;
mod rate;
mod registration;
mod secret;
mod site;
mod source;
mod traces;
mod units;
mod upstream;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use url::{Host, Url};

pub use audit::{Audit, AuditTo};
pub use backend_tls::BackendTls;
pub use condition::{Claimed, Condition, OfCall, Reads};
pub use deny::DenyList;
pub use dpop::{Dpop, Nonces};
pub(crate) use file::{Step, line};
pub use front::{
    Asking, Broker, Facade, Front, Login, OwnClient, RedirectUri, ResourceAs, Through,
};
pub use invalid::Invalid;
pub use issuer::{ClaimNames, ClaimPath, TokenType, TrustedIssuer};
pub use log::{LOGGING_MODULES, Log, LogFormat, LogLevels};
pub use network::Network;
pub use policy::{Lists, Need, Over, Pattern, Policy, Rule, Targets};
pub use proxies::{ClientFrom, TrustedProxies};
pub use rate::{Rate, Rates};
pub(crate) use registration::Registration;
pub use secret::{Secret, files as files_meant};
pub use site::{Authorization, Forward, Origins, Site};
pub use source::{ClientAuthentication, Introspection, IntrospectionEndpoint, KeySource, Source};
pub use traces::Traces;
pub(crate) use upstream::is_loopback;
pub use upstream::{Address, Check, Upstream};

/// Everything an operator decides.
#[derive(Clone, Debug)]
pub struct Config {
    /// Read once: changing these needs a restart.
    pub boot: Boot,
    /// What requests are judged by.
    pub rules: Rules,
}

impl Config {
    /// Reads and checks the file at `path`.
    pub fn load(path: &Path) -> Result<Self, Invalid> {
        Self::of(path, &Self::text(path)?)
    }

    /// What is written in the file at `path`.
    pub fn text(path: &Path) -> Result<String, Invalid> {
        fs::read_to_string(path).map_err(|error| Invalid::unreadable(path, &error))
    }

    /// Checks what was read from `path`.
    pub fn of(path: &Path, text: &str) -> Result<Self, Invalid> {
        Self::parse(text).map_err(|invalid| invalid.of(path))
    }

    /// Checks a configuration held in memory.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        check::check(text)
    }
}

/// What the process is built from.
#[derive(Clone, Debug, PartialEq)]
pub struct Boot {
    /// Where clients connect.
    pub listen: SocketAddr,
    /// Where they come without TLS, to be led to the listener that speaks it.
    pub redirect: Option<SocketAddr>,
    /// How their connections are secured.
    pub tls: Tls,
    /// Who stands in front of the listener.
    pub proxies: TrustedProxies,
    /// Where metrics and readiness are served.
    pub admin: SocketAddr,
    /// What one client may take up.
    pub limits: Limits,
    /// How we fetch from others.
    pub outbound: OutboundRules,
    /// How the log is written. Its levels may change while the proxy runs.
    pub log: Log,
    /// Who is told of each decision.
    pub audit: Option<Audit>,
    /// Who is told of traces.
    pub traces: Option<Traces>,
    /// How long to go on as before once told to stop, so that others can hear of it.
    pub shutdown_delay: Option<Duration>,
    /// How long requests in flight may take to end after that.
    pub shutdown_timeout: Duration,
}

impl Boot {
    /// The settings in which `other` differs.
    pub fn differences(&self, other: &Self) -> Vec<&'static str> {
        let same = [
            ("listen", self.listen == other.listen),
            ("redirect", self.redirect == other.redirect),
            ("tls", self.tls == other.tls),
            ("trusted_proxies", self.proxies == other.proxies),
            ("admin", self.admin == other.admin),
            ("limits", self.limits == other.limits),
            ("outbound", self.outbound == other.outbound),
            ("log.format", self.log.format == other.log.format),
            ("audit", self.audit == other.audit),
            ("traces", self.traces == other.traces),
            ("shutdown_delay", self.shutdown_delay == other.shutdown_delay),
            ("shutdown_timeout", self.shutdown_timeout == other.shutdown_timeout),
        ];
        same.into_iter().filter(|(_, same)| !same).map(|(setting, _)| setting).collect()
    }
}

/// Who terminates TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    /// We do.
    Here {
        /// What clients are shown whose name fits no other.
        shown: CertificateFiles,
        /// What they are shown whose name fits it.
        others: Vec<CertificateFiles>,
        /// Whom clients must show themselves to be, before any request.
        clients: Clients,
    },
    /// Nobody, or somebody in front of us.
    Off,
}

/// A certificate and its key, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The chain, leaf first.
    pub chain: PathBuf,
    /// The leaf's private key.
    pub key: PathBuf,
}

/// What the handshake makes of clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clients {
    /// Whether they are asked for certificates of their own.
    pub certificates: ClientCertificates,
    /// Who signs those, PEM files. None: what one is good for, a token says (RFC 8705).
    pub authorities: Vec<PathBuf>,
    /// What of that is revoked: lists of each authority, PEM files.
    pub revoked: Vec<PathBuf>,
}

/// What is asked of clients in the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCertificates {
    /// Nothing.
    Off,
    /// A certificate, if they have one.
    Asked,
    /// A certificate; without one there is no connection.
    Required,
}

/// Bounds on what a client can make us hold or wait for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections open at once.
    pub connections: usize,
    /// Time for a whole TLS handshake.
    pub handshake_timeout: Duration,
    /// Time for a whole request head.
    pub header_timeout: Duration,
    /// How long an idle connection is kept.
    pub idle_timeout: Duration,
    /// Time between two parts of a request body.
    pub body_timeout: Duration,
    /// How long a stream of events may be silent before a comment is put in, if at all.
    pub stream_keepalive: Option<Duration>,
    /// Time a client may refuse to take what we write.
    pub write_timeout: Duration,
    /// Size of a request's target: path and query.
    pub target_bytes: usize,
    /// Size of a request's head.
    pub header_bytes: usize,
    /// Header fields in a request.
    pub headers: usize,
    /// Size of a request's body.
    pub body_bytes: usize,
}

/// How we fetch from others: issuers' metadata and keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutboundRules {
    /// Authorities that are trusted besides the system's, in PEM.
    pub ca_file: Option<PathBuf>,
    /// Addresses that may be dialled though they are not public.
    pub allow_networks: Vec<Network>,
}

/// What requests are judged by.
#[derive(Clone, Debug)]
pub struct Rules {
    /// What is protected: at least one.
    pub sites: Vec<Site>,
    /// Whose tokens are believed: at least one.
    pub issuers: Vec<TrustedIssuer>,
    /// The file that lists what is revoked.
    pub revocations: Option<PathBuf>,
    /// How strictly proofs of possession are asked for.
    pub dpop: Dpop,
    /// What sessions are sealed with: the first seals, all open. None: a key made at start.
    pub session_keys: Vec<Secret>,
    /// What the keys of assertions are made of. None: of something made at start.
    pub assertion_key: Option<Secret>,
    /// How often callers may call, and fail.
    pub rates: Rates,
    /// What of the authorization server is done here.
    pub front: Option<Front>,
    /// Whether clients can prove to hold a certificate.
    pub client_certificates: ClientCertificates,
}

/// The URL that clients name this server by (RFC 9728 `resource`), kept as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource(Url);

impl Resource {
    /// The identifier, byte for byte.
    pub fn as_str(&self) -> &str {
        // The url crate ends an empty path with a slash that the operator did not write.
        match self.0.as_str() {
            text if self.0.path() == "/" => text.trim_end_matches('/'),
            text => text,
        }
    }

    /// Scheme, host and port.
    pub fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    /// Its name, or its address.
    pub(crate) fn host(&self) -> Option<String> {
        self.0.host_str().map(str::to_owned)
    }

    /// Whether browsers may be told to use nothing but https there. Of `localhost` they would
    /// believe it for every server that its user ever starts; of addresses never (RFC 6797
    /// section 8.1.1).
    pub(crate) fn is_https_only(&self) -> bool {
        let is_name = matches!(self.0.host(), Some(Host::Domain(name)) if name != "localhost");
        is_name && self.0.scheme() == "https"
    }

    /// The endpoint's path, without a slash at its end; empty for the root.
    pub fn path(&self) -> &str {
        self.0.path().trim_end_matches('/')
    }
}

/// The authorization server, spelled exactly as its tokens spell `iss`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Issuer(String);

impl Issuer {
    /// The identifier, byte for byte.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One scope (RFC 6749 section 3.3): it fits into a quoted string as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope(String);

impl Scope {
    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Every header name under this is ours alone.
pub const OWN_HEADERS: &str = "x-postern-";

/// Likewise of cookies, whatever kind of prefix stands before it.
pub const OWN_COOKIES: &str = "postern-";
