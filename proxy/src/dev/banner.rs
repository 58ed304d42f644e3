//! What the developer sees, and what a script reads.

use std::fmt;

use serde::Serialize;

/// Where everything is. The member names are what scripts rely on.
#[derive(Serialize)]
pub(super) struct Banner {
    pub(super) gateway: String,
    pub(super) metadata: String,
    pub(super) issuer: String,
    pub(super) token_endpoint: String,
    pub(super) admin: String,
    pub(super) ca_file: String,
    pub(super) config_file: String,
    pub(super) client_id: String,
    pub(super) client_secret: String,
    pub(super) token: String,
    /// As this program was called.
    #[serde(skip)]
    pub(super) program: String,
}

/// Every command works pasted by itself, but for the token that the call needs.
impl fmt::Display for Banner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { gateway, metadata, issuer, token_endpoint, admin, client_id, .. } = self;
        let (secret, ca) = (&self.client_secret, quoted(&self.ca_file));
        let (program, config) = (quoted(&self.program), quoted(&self.config_file));
        write!(
            f,
            r#"  MCP server  {gateway}
  Metadata    {metadata}
  Sign-in     {issuer}  (ada: read and write; grace: read; password: laptop)
  Metrics     {admin}/metrics
  CA file     {ca}
  Why not?    {program} explain --config {config} --token "$TOKEN"

A token and a call with it, in another terminal (Ctrl-C in this one ends it all):
TOKEN=$(curl -sS {token_endpoint} -d grant_type=client_credentials \
  -u {client_id}:{secret} \
  | sed 's/.*"access_token":"\([^"]*\).*/\1/')
curl -sS -w '\n' --cacert {ca} {gateway} \
  -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \
  -H 'Accept: application/json, text/event-stream' -H 'MCP-Protocol-Version: 2026-07-28' \
  -H 'Mcp-Method: tools/call' -H 'Mcp-Name: whoami' \
  -d '{CALL}'

Clients with which you sign in:
NODE_EXTRA_CA_CERTS={ca} npx @modelcontextprotocol/inspector \
  --transport http --server-url {gateway}
claude mcp add --transport http postern {gateway}
NODE_EXTRA_CA_CERTS={ca} claude
"#
        )
    }
}

/// The path as one word of a shell's command line.
fn quoted(path: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-+".contains(letter);
    if path.chars().all(plain) {
        return path.to_owned();
    }
    format!("'{}'", path.replace('\'', r"'\''"))
}

/// MCP 2026-07-28: a call that needs no session, so one curl is enough.
const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"whoami",
    "_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",
    "io.modelcontextprotocol/clientCapabilities":{}}}}"#;

#[cfg(test)]
mod tests {
    use super::*;

    fn banner() -> Banner {
        Banner {
            gateway: "https://127.0.0.1:8443/mcp".to_owned(),
            metadata: "https://127.0.0.1:8443/.well-known/oauth-protected-resource/mcp".to_owned(),
            issuer: "http://127.0.0.1:40001".to_owned(),
            token_endpoint: "http://127.0.0.1:40001/token".to_owned(),
            admin: "http://127.0.0.1:40002".to_owned(),
            ca_file: "/tmp/postern-a1b2c3/ca.pem".to_owned(),
            config_file: "/tmp/postern-a1b2c3/postern.yaml".to_owned(),
            client_id: "postern-dev".to_owned(),
            client_secret: "s".repeat(43),
            token: "t".repeat(600),
            program: "target/debug/postern".to_owned(),
        }
    }

    #[test]
    fn fits_a_screen() {
        let text = banner().to_string();
        assert!(text.lines().count() <= 24, "{text}");
        assert!(text.lines().all(|line| line.len() <= 104), "{text}");
    }

    #[test]
    fn the_json_is_one_line_with_these_members() {
        let line = serde_json::to_string(&banner()).unwrap();
        assert!(!line.contains('\n'));
        let members: serde_json::Map<_, _> = serde_json::from_str(&line).unwrap();
        let mut names: Vec<_> = members.keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            [
                "admin",
                "ca_file",
                "client_id",
                "client_secret",
                "config_file",
                "gateway",
                "issuer",
                "metadata",
                "token",
                "token_endpoint"
            ]
        );
    }

    #[test]
    fn the_call_is_json() {
        assert_eq!(serde_json::from_str::<serde_json::Value>(CALL).unwrap()["id"], 1);
    }

    #[test]
    fn a_path_stays_one_word() {
        assert_eq!(quoted("/tmp/x/ca.pem"), "/tmp/x/ca.pem");
        assert_eq!(quoted("/tmp/it's here"), r"'/tmp/it'\''s here'");
    }
}
