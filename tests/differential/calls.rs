//! A few thousand calls, good and spoilt: whatever the gateway takes for one, Python reads as the same.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Request;
use proxy::pipeline::call::Call;
use serde_json::Value;

use super::random::Random;
use super::seed;
use crate::e2e::counterpart;

#[test]
fn whatever_is_taken_for_a_call_python_reads_as_the_same_one() {
    let seed = seed();
    let bodies: Vec<Vec<u8>> = (0..BODIES).map(|number| body(seed, number)).collect();
    let theirs = by_python(&bodies);
    let request = Request::post("/mcp").body(()).unwrap().into_parts().0;
    let mut counts: BTreeMap<(bool, bool), usize> = BTreeMap::new();
    for (body, their) in bodies.iter().zip(&theirs) {
        let our = Call::read(&request, body);
        *counts.entry((our.is_ok(), their.get("read").is_some())).or_default() += 1;
        let Ok(call) = our else { continue };
        let shown = String::from_utf8_lossy(body);
        let told = (their["read"][0].as_str(), their["read"][1].as_str());
        let method = Some(call.method()).filter(|method| !method.is_empty());
        assert_eq!((method, call.name()), told, "with seed {seed}: {shown}\n{their}");
    }
    let count = |ours, theirs| counts.get(&(ours, theirs)).copied().unwrap_or_default();
    assert!(count(true, true) > BODIES / 5, "few were good: {counts:?}");
    assert!(count(false, false) > BODIES / 50, "few were bad: {counts:?}");
    assert!(count(false, true) > BODIES / 50, "few were only for the lenient: {counts:?}");
}

fn by_python(bodies: &[Vec<u8>]) -> Vec<Value> {
    let bodies: Vec<String> = bodies.iter().map(|body| STANDARD.encode(body)).collect();
    let mut judge = counterpart("python", "calls.py");
    let mut judge = judge.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    judge.stdin.take().unwrap().write_all(Value::from(bodies).to_string().as_bytes()).unwrap();
    let output = judge.wait_with_output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A good message, and up to three pieces in places where they may do harm.
fn body(seed: u64, number: usize) -> Vec<u8> {
    let mut random = Random::new(seed ^ (number as u64) << 20);
    let mut body = GOOD[random.below(GOOD.len())].as_bytes().to_vec();
    for _ in 0..number % 4 {
        // Between two tokens as often as anywhere.
        let marks: Vec<usize> =
            (0..body.len()).filter(|&at| b"{,:}[".contains(&body[at])).collect();
        let at = if random.below(3) == 0 || marks.is_empty() {
            random.below(body.len() + 1)
        } else {
            marks[random.below(marks.len())] + 1
        };
        let end = (at + random.below(3) / 2 * random.below(6)).min(body.len());
        body.splice(at..end, PIECES[random.below(PIECES.len())].bytes());
    }
    body
}

const BODIES: usize = 6_000;

const GOOD: [&str; 6] = [
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"get","arguments":{"a":1}}}"#,
    r#"{"method":"tools/call","params":{"arguments":{"name":"x"},"name":"gét\u00e9"},"id":"a","jsonrpc":"2.0"}"#,
    r#" {"jsonrpc" : "2.0", "method":"notifications/x" , "params" : {} } "#,
    r#"{"jsonrpc":"2.0","id":2,"method":"resources/read","params":{"uri":"a:b","_meta":{"x":[1.5e3]}}}"#,
    r#"{"jsonrpc":"2.0","id":2,"method":"prompts/get","params":{"name":"\ud83d\ude00"}}"#,
    r#"{"jsonrpc":"2.0","id":2,"result":{"method":"x"}}"#,
];

const PIECES: [&str; 34] = [
    " ",
    "\n",
    "\t",
    "\u{b}",
    "\u{a0}",
    "\u{feff}",
    "\0",
    "/**/",
    ",",
    "{}",
    "[]",
    "}",
    "]",
    "\"",
    "\\",
    "\"name\":\"put\",",
    "\"\\u006eame\":\"put\",",
    "\"Name\":\"put\",",
    "\"method\":\"tools/list\",",
    "\"METHOD\":\"x\",",
    "\"params\":{\"name\":\"put\"},",
    "\"uri\":\"c:d\",",
    "\"id\":null,",
    "\"x\":NaN,",
    "\"x\":-Infinity,",
    "\"x\":1e999,",
    "\"x\":\"\\ud800\",",
    "\"x\":01,",
    "\"x\":+1,",
    "\"x\":.5,",
    "\"x\":'a',",
    "\"x\":18446744073709551616,",
    "\"x\":{\"x\":1,\"x\":2},",
    "true",
];
