//! A client that calls methods, and sends the call exactly as it is told.

use serde_json::{Value, json};

use super::{Response, Wire, World};

/// One caller of a gateway with a policy.
pub(crate) struct Caller {
    pub(crate) wire: Wire,
    authorization: String,
}

impl Caller {
    /// Whose token has these scopes.
    pub(crate) fn with_scopes(world: &World, scopes: &str) -> Self {
        let token = world.issuer.key.sign(&world.issuer.claims().set("scope", scopes));
        Self::with_token(world, &token)
    }

    pub(crate) fn with_token(world: &World, token: &str) -> Self {
        Self { wire: world.connect(), authorization: format!("Bearer {token}") }
    }

    /// A message as clients sent it before 2026-07-28.
    pub(crate) fn post(&mut self, message: &Value) -> Response {
        self.send(&message.to_string(), &[JSON])
    }

    /// A message as they send it since.
    pub(crate) fn post_now(&mut self, message: &Value) -> Response {
        let mut headers = vec![JSON, NOW];
        headers.extend(message["method"].as_str().map(|method| ("Mcp-Method", method)));
        let name = message["params"]["name"].as_str().or(message["params"]["uri"].as_str());
        headers.extend(name.map(|name| ("Mcp-Name", name)));
        self.send(&message.to_string(), &headers)
    }

    /// Any body, with any headers.
    pub(crate) fn send(&mut self, body: &str, headers: &[(&str, &str)]) -> Response {
        self.request("POST", headers, body)
    }

    pub(crate) fn request(
        &mut self,
        method: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Response {
        let mut all = vec![("Authorization", self.authorization.as_str())];
        all.extend(headers);
        self.wire.request(method, "/mcp", &all, body)
    }

    /// Calls a tool, in the one way and in the other: both must be answered alike.
    #[track_caller]
    pub(crate) fn tool(&mut self, world: &World, name: &str) -> Response {
        let [before, now] = [Self::post, Self::post_now].map(|post| {
            let response = post(self, &tool(name));
            if response.status == 200 {
                world.upstream.next();
            }
            response
        });
        assert_eq!(before.status, now.status, "{before:?} {now:?}");
        assert_eq!(before.headers("www-authenticate"), now.headers("www-authenticate"));
        assert_eq!(before.body, now.body);
        before
    }
}

pub(crate) fn tool(name: &str) -> Value {
    request("tools/call", &json!({ "name": name, "arguments": {} }))
}

pub(crate) fn request(method: &str, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params })
}

pub(crate) const JSON: (&str, &str) = ("Content-Type", "application/json");
pub(crate) const NOW: (&str, &str) = ("MCP-Protocol-Version", "2026-07-28");
