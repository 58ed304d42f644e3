use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{call, legacy, modern};

/// A valid request of the proxy's, to be spoilt.
pub(crate) struct Post {
    method: &'static str,
    path: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Post {
    /// A request of 2025-11-25, from ada.
    pub(crate) fn legacy(method: &str, params: Value) -> Self {
        Self::valid(&legacy(1, method, params)).with("MCP-Protocol-Version", "2025-11-25")
    }

    /// A request of 2026-07-28, from ada.
    pub(crate) fn modern(method: &str, params: Value) -> Self {
        let name = params["name"].as_str().or(params["uri"].as_str()).map(str::to_owned);
        let post = Self::valid(&modern(1, method, params))
            .with("MCP-Protocol-Version", "2026-07-28")
            .with("Mcp-Method", method);
        match name {
            Some(name) => post.with("Mcp-Name", &name),
            None => post,
        }
    }

    pub(crate) fn whoami() -> Self {
        Self::modern("tools/call", call("whoami", json!({})))
    }

    /// What no answer comes to, in 2025-11-25.
    pub(crate) fn notification(method: &str, params: Value) -> Self {
        let body = json!({ "jsonrpc": "2.0", "method": method, "params": params });
        Self::valid(&body).with("MCP-Protocol-Version", "2025-11-25")
    }

    /// `whoami` in a session of 2025-11-25.
    pub(crate) fn legacy_whoami(session: &str) -> Self {
        Self::legacy("tools/call", call("whoami", json!({}))).in_session(session)
    }

    pub(crate) fn in_session(self, id: &str) -> Self {
        self.with("Mcp-Session-Id", id)
    }

    pub(crate) fn by(self, subject: &str) -> Self {
        self.without("X-Postern-Subject").with("X-Postern-Subject", subject)
    }

    pub(crate) fn to(self, path: impl Into<String>) -> Self {
        Self { path: path.into(), ..self }
    }

    /// With another body.
    pub(crate) fn said(self, body: &Value) -> Self {
        Self { body: body.to_string(), ..self }
    }

    pub(crate) fn by_get(self) -> Self {
        Self { method: "GET", body: String::new(), ..self }
    }

    pub(crate) fn by_delete(self) -> Self {
        Self { method: "DELETE", body: String::new(), ..self }
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(present, _)| present != name);
        self
    }

    pub(crate) fn without_identity(mut self) -> Self {
        self.headers.retain(|(name, _)| !name.starts_with("X-Postern-"));
        self
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let Self { method, path, headers, body } = self;
        let mut head = format!("{method} {path} HTTP/1.1\r\n");
        for (name, value) in headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        write!(head, "Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        head.into_bytes()
    }

    fn valid(body: &Value) -> Self {
        Self {
            method: "POST",
            path: "/mcp".to_owned(),
            headers: Vec::new(),
            body: body.to_string(),
        }
        .with("Host", "127.0.0.1")
        .with("Content-Type", "application/json")
        .with("Accept", "application/json, text/event-stream")
        .with("X-Postern-Subject", "ada")
        .with("X-Postern-Issuer", "https://id.example")
        .with("X-Postern-Client-Id", "editor")
        .with("X-Postern-Scopes", "mcp:read mcp:write")
    }
}
