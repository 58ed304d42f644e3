use serde_json::{Value, json};

/// A request as a client of 2025-11-25 writes it.
pub(crate) fn legacy(id: u32, method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

/// The same as a client of 2026-07-28 writes it: the handshake travels with each request.
pub(crate) fn modern(id: u32, method: &str, mut params: Value) -> Value {
    for (name, value) in [
        ("protocolVersion", json!("2026-07-28")),
        ("clientCapabilities", json!({})),
        ("clientInfo", json!({ "name": "test", "version": "1" })),
    ] {
        params["_meta"][format!("io.modelcontextprotocol/{name}")] = value;
    }
    legacy(id, method, params)
}

/// The parameters of `tools/call`.
pub(crate) fn call(tool: &str, arguments: Value) -> Value {
    json!({ "name": tool, "arguments": arguments })
}
