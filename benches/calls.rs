//! What rules about calls add to a decision.

use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::Criterion;
use http::request::Parts;
use http::{HeaderValue, Method};
use proxy::pipeline::call::Call;
use proxy::pipeline::channel::Channel;
use proxy::pipeline::known::Known;
use proxy::pipeline::{Decision, Pipeline};

use super::tokens::Issuer;
use super::{Desk, ENDPOINT, median, request};

pub(super) fn bench(criterion: &mut Criterion, issuer: &Issuer) -> Result<(), Box<dyn Error>> {
    for (name, size) in [("161 bytes", 161), ("1 KiB", 1024)] {
        let body = body(size);
        let call = named()?;
        criterion.bench_function(&format!("reading a call of {name}"), |bench| {
            bench.iter(|| Call::read(black_box(&call), black_box(&body)));
        });
        let stand = Stand::new(issuer, BY_TOOL, body)?;
        criterion.bench_function(&format!("cached token, a tool's scope, {name}"), |bench| {
            bench.iter(|| stand.decide());
        });
    }
    for (name, policy) in [("a list in a claim", GROUPS), ("the end of a claim", EMAIL)] {
        let stand = Stand::new(issuer, policy, Bytes::new())?;
        criterion.bench_function(&format!("cached token, a condition on {name}"), |bench| {
            bench.iter(|| stand.decide());
        });
    }
    Ok(())
}

/// What the dearer of two typical conditions takes: the difference that it makes, in the median pass.
pub(super) fn condition(issuer: &Issuer) -> Result<Duration, Box<dyn Error>> {
    let [without, one, other] = ["", GROUPS, EMAIL].map(|policy| {
        let stand = Stand::new(issuer, policy, Bytes::new())?;
        let pass = |_| {
            let began = Instant::now();
            for _ in 0..DECISIONS {
                drop(stand.decide());
            }
            began.elapsed() / DECISIONS
        };
        Ok::<_, Box<dyn Error>>(median((0..PASSES).map(pass).collect()))
    });
    let without = without?;
    Ok(one?.max(other?).saturating_sub(without))
}

/// One call, again and again.
struct Stand {
    desk: Desk,
    pipeline: Pipeline,
    call: Parts,
    known: Known,
}

impl Stand {
    fn new(issuer: &Issuer, policy: &str, body: Bytes) -> Result<Self, Box<dyn Error>> {
        let desk = Desk::with_policy(issuer, policy)?;
        let mut call = named()?;
        let token = issuer.rsa.tokens(1, desk.now)?.pop().ok_or("a token")?;
        let bearer = HeaderValue::from_str(&format!("Bearer {token}"))?;
        call.headers.insert(http::header::AUTHORIZATION, bearer);
        let mut known = Known::default();
        known.body_is(body);
        let pipeline = desk.pipeline();
        let stand = Self { desk, pipeline, call, known };
        let passes = matches!(stand.decide(), Decision::Forward(_));
        if passes { Ok(stand) } else { Err("a call that may pass does not".into()) }
    }

    fn decide(&self) -> Decision {
        let (channel, now) = (Channel::default(), self.desk.now);
        self.pipeline.decide_knowing(black_box(&self.call), &channel, &self.known, now)
    }
}

/// A call as clients send it since 2026-07-28.
fn named() -> Result<Parts, Box<dyn Error>> {
    let mut call = request(Method::POST, ENDPOINT, None)?;
    for (name, value) in [
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/call"),
        ("mcp-name", "weather"),
    ] {
        call.headers.insert(name, HeaderValue::from_static(value));
    }
    Ok(call)
}

/// Of so many bytes.
fn body(size: usize) -> Bytes {
    let short = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"weather","arguments":{"city":"","units":"metric"},"_meta":{"progressToken":"b1f5-0001"}}}"#;
    let city = "x".repeat(size.saturating_sub(short.len()));
    short.replacen(r#""city":"""#, &format!(r#""city":"{city}""#), 1).into()
}

const BY_TOOL: &str = "scopes: [{tools: [weather], all: ['mcp:write']}, {tools: ['delete_*'], \
    all: ['mcp:admin']}], allow: [{tools: ['get_*']}, {tools: [weather]}]";
const GROUPS: &str =
    r#"allow: [{when: 'payload.groups.exists(group, group in ["admin", "editor"])'}]"#;
const EMAIL: &str =
    r#"allow: [{when: 'has(payload.email) && payload.email.endsWith("@example.com")'}]"#;

const DECISIONS: u32 = 1000;
const PASSES: u32 = 101;
pub(super) const AIM: Duration = Duration::from_micros(3);
