//! The gateway's configuration, as somebody would have written it.

use std::path::Path;

use serde_json::Value;

use super::certificate::Certificate;

/// What differs from one run to the next.
pub(super) struct Settings<'a> {
    pub(super) port: u16,
    pub(super) certificate: &'a Certificate,
    pub(super) issuer: &'a str,
    pub(super) backend: &'a str,
}

impl Settings<'_> {
    /// The URL that clients are given, and tokens are for.
    pub(super) fn resource(port: u16) -> String {
        format!("https://127.0.0.1:{port}/mcp")
    }

    /// Where RFC 9728 §3.1 puts the metadata of that resource.
    pub(super) fn metadata(port: u16) -> String {
        format!("https://127.0.0.1:{port}/.well-known/oauth-protected-resource/mcp")
    }

    /// Read by the same parser as a file: `postern dev` runs nothing that `postern run` could not.
    pub(super) fn yaml(&self) -> String {
        let Self { port, certificate, issuer, backend } = self;
        let resource = Self::resource(*port);
        // JSON strings are YAML strings, whatever the path contains.
        let word = |path: &Path| Value::from(path.to_string_lossy());
        let (chain, key) = (word(&certificate.chain), word(&certificate.key));
        let backend = Value::from(*backend);
        format!(
            "listen: 127.0.0.1:{port}\n\
             tls: {{ certificate: {chain}, key: {key} }}\n\
             admin: {{ listen: \"127.0.0.1:0\" }}\n\
             resource:\n  url: {resource}\n  name: Postern on a laptop\n  scopes: [\"mcp:read\"]\n  \
             hosts: [\"localhost:{port}\"]\n  origins: [\"http://localhost:6274\"]\n\
             issuers:\n  - issuer: {issuer}\n\
             upstream: {{ address: {backend} }}\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::config::{Address, Config};

    #[test]
    fn the_gateway_accepts_them() {
        let certificate = Certificate {
            authority: PathBuf::from("/tmp/postern-x/ca.pem"),
            chain: PathBuf::from("/tmp/a \"b\": #c/cert.pem"),
            key: PathBuf::from("/tmp/postern-x/key.pem"),
        };
        let settings = Settings {
            port: 8443,
            certificate: &certificate,
            issuer: "http://127.0.0.1:40001",
            backend: "unix:/tmp/postern-x/backend.sock",
        };
        let config = Config::parse(&settings.yaml()).unwrap();
        assert_eq!(config.rules.sites[0].resource.as_str(), Settings::resource(8443));
        assert_eq!(
            config.rules.sites[0].upstream.addresses,
            [Address::Unix("/tmp/postern-x/backend.sock".into())]
        );
    }
}
