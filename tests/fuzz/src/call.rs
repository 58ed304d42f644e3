//! Any body: what is taken for a call is the one that other readers of JSON find in it.

use http::request::Parts;
use http::{HeaderValue, Request};
use proxy::pipeline::call::Call;
use serde_json::{Map, Value};

pub fn holds(bytes: &[u8]) {
    let Ok(call) = Call::read(&post(None), bytes) else { return };
    let read: Value = serde_json::from_slice(bytes).expect("other readers read it, too");
    let message = read.as_object().expect("a message is an object");
    assert_eq!(message["jsonrpc"], "2.0");
    assert_eq!(call.method(), text(message, "method").unwrap_or_default());
    alone(message, &["jsonrpc", "method", "id", "params", "result", "error"]);
    let none = Map::new();
    let params = message.get("params").map_or(&none, |params| params.as_object().unwrap());
    alone(params, &["name", "uri", "arguments", "ref"]);
    let of = params.get("ref").and_then(Value::as_object).unwrap_or(&none);
    let name = match call.method() {
        "tools/call" | "prompts/get" => text(params, "name"),
        "resources/read" | "resources/subscribe" | "resources/unsubscribe" => text(params, "uri"),
        "completion/complete" if text(of, "type") == Some("ref/prompt") => text(of, "name"),
        "completion/complete" => text(of, "uri"),
        _ => None,
    };
    assert_eq!(call.name(), name);
    mirrored(&call, message, bytes);
}

/// With headers that say what the body says it is the same call; with others it is none.
fn mirrored(call: &Call, message: &Map<String, Value>, bytes: &[u8]) {
    let known = ["tools/call", "prompts/get", "resources/read"].contains(&call.method());
    let Some(name) = call.name().filter(|_| known && message.contains_key("id")) else { return };
    let Ok(said) = HeaderValue::from_str(name) else { return };
    // What looks encoded says another name.
    let says_so = !name.starts_with("=?base64?");
    let method = HeaderValue::from_str(call.method()).unwrap();
    let with = |method: &HeaderValue, name| post(Some((method.clone(), name)));
    assert_eq!(Call::read(&with(&method, said), bytes).is_ok(), says_so);
    assert!(Call::read(&with(&method, HeaderValue::from_static("\u{7e}other")), bytes).is_err());
    let other = HeaderValue::from_static("tools/list");
    assert!(Call::read(&with(&other, HeaderValue::from_str(name).unwrap()), bytes).is_err());
}

fn text<'m>(members: &'m Map<String, Value>, name: &str) -> Option<&'m str> {
    members.get(name)?.as_str()
}

/// Nor is there another member that a reader who does not tell capitals could take for one of these.
fn alone(members: &Map<String, Value>, names: &[&str]) {
    for name in members.keys().filter(|name| !names.contains(&name.as_str())) {
        let folded = name.replace('\u{17f}', "s").replace('\u{212a}', "k").to_lowercase();
        assert!(!names.contains(&folded.as_str()), "{name:?} stands beside them");
    }
}

fn post(mirrored: Option<(HeaderValue, HeaderValue)>) -> Parts {
    let mut request = Request::post("/mcp").body(()).unwrap().into_parts().0;
    if let Some((method, name)) = mirrored {
        request.headers.insert("mcp-protocol-version", HeaderValue::from_static("2026-07-28"));
        request.headers.insert("mcp-method", method);
        request.headers.insert("mcp-name", name);
    }
    request
}
