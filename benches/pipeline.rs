//! How long one decision takes, without sockets: `cargo bench -p proxy --bench pipeline`.

#![allow(missing_docs, reason = "a bench has no interface")]
#![allow(clippy::print_stdout, reason = "a bench reports")]

mod calls;
mod raw;
mod tokens;

use std::error::Error;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use criterion::{Bencher, Criterion};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST};
use http::request::Parts;
use http::{Method, Request};
use mimalloc::MiMalloc;
use proxy::config::{Config, Rules};
use proxy::keys::{Keyring, jwks};
use proxy::pipeline::channel::Channel;
use proxy::pipeline::framing::Bounds;
use proxy::pipeline::proof::Ledger;
use proxy::pipeline::{Cells, Decision, Pipeline};
use raw::{Raw, Signed};
use tokens::{ISSUER, Issuer, RESOURCE};

/// The allocator of the shipped binary: decisions allocate.
#[global_allocator]
static MEMORY: MiMalloc = MiMalloc;

fn main() -> Result<(), Box<dyn Error>> {
    let issuer = Issuer::new()?;
    let desk = Desk::new(&issuer)?;
    let mut criterion = Criterion::default().configure_from_args();

    let metadata = request(Method::GET, METADATA, None)?;
    let without_token = request(Method::POST, ENDPOINT, None)?;
    let known = desk.calls(&issuer.rsa)?;
    criterion
        .bench_function("metadata", |bench| desk.public(bench, &metadata))
        .bench_function("no token", |bench| desk.public(bench, &without_token))
        .bench_function("cached token", |bench| desk.cached(bench, &known));
    for (name, key) in
        [("new RS256", &issuer.rsa), ("new ES256", &issuer.p256), ("new EdDSA", &issuer.ed25519)]
    {
        let new = desk.calls(key)?;
        criterion
            .bench_function(name, |bench| bench.iter_custom(|count| desk.uncached(count, &new)));
    }
    calls::bench(&mut criterion, &issuer)?;
    criterion.final_summary();

    let decision = desk.typical_cached(&known);
    let verdict = if decision < AIM { "met" } else { "missed" };
    for (name, key) in [("RS256", &issuer.rsa), ("ES256", &issuer.p256), ("EdDSA", &issuer.ed25519)]
    {
        let ratio = desk.over_raw(key)?;
        println!(
            "a new {name} token costs {ratio:.2} times its signature (aim for the first two: 1.25)"
        );
    }
    println!(
        "{REMEMBERED} remembered tokens take {:.2} MiB (aim: less than 8)",
        desk.memory(&issuer.ed25519)?
    );
    let condition = calls::condition(&issuer)?;
    let verdict_on_conditions = if condition < calls::AIM { "met" } else { "missed" };
    println!(
        "aim: a typical condition in less than {:?}: {verdict_on_conditions}, {condition:?}",
        calls::AIM
    );
    println!("aim: a decision on a cached token in less than {AIM:?}: {verdict}, {decision:?}");
    Ok(())
}

/// What it takes to decide.
struct Desk {
    rules: Rules,
    keyring: Arc<Keyring>,
    now: SystemTime,
}

impl Desk {
    fn new(issuer: &Issuer) -> Result<Self, Box<dyn Error>> {
        Self::with_policy(issuer, "")
    }

    fn with_policy(issuer: &Issuer, policy: &str) -> Result<Self, Box<dyn Error>> {
        let config = Config::parse(&format!(
            "tls: off\nresource: {{url: \"{RESOURCE}\", scopes: [\"mcp:read\"], policy: {{{policy}}}}}\n\
             issuers: [{{issuer: \"{ISSUER}\"}}]\nupstream: {{address: \"unix:/unused\"}}\n"
        ))?;
        let keyring = Arc::new(Keyring::default());
        let algorithms = &config.rules.issuers.first().ok_or("an issuer")?.algorithms;
        keyring.replace(jwks::parse(issuer.jwks().as_bytes(), algorithms)?.keys);
        let now = UNIX_EPOCH + Duration::from_hours(500_000);
        Ok(Self { rules: config.rules, keyring, now })
    }

    fn pipeline(&self) -> Pipeline {
        let bounds = Bounds {
            target_bytes: 8 << 10,
            header_bytes: 32 << 10,
            headers: 100,
            body_bytes: 4 << 20,
        };
        let ledger = Arc::new(Ledger::new([0; 32]));
        let keyrings = vec![Arc::clone(&self.keyring)];
        let cells = Cells { keyrings, revocations: Arc::default(), ledger };
        Pipeline::new(&self.rules, bounds, &cells)
    }

    fn calls(&self, key: &tokens::Key) -> Result<Vec<Parts>, Box<dyn Error>> {
        let tokens = key.tokens(TOKENS, self.now)?;
        let call = |token: &String| request(Method::POST, ENDPOINT, Some(token));
        Ok(tokens.iter().map(call).collect::<Result<_, _>>()?)
    }

    fn public(&self, bench: &mut Bencher<'_>, request: &Parts) {
        let pipeline = self.pipeline();
        assert!(matches!(
            pipeline.decide(request, &Channel::default(), self.now),
            Decision::Answer(_)
        ));
        bench.iter(|| pipeline.decide(black_box(request), &Channel::default(), self.now));
    }

    fn cached(&self, bench: &mut Bencher<'_>, calls: &[Parts]) {
        let pipeline = self.pipeline();
        self.admit(&pipeline, calls);
        let mut calls = calls.iter().cycle();
        bench.iter(|| {
            calls.next().map(|call| pipeline.decide(black_box(call), &Channel::default(), self.now))
        });
    }

    /// The cache belongs to the pipeline: to a new one every token is new.
    fn uncached(&self, count: u64, calls: &[Parts]) -> Duration {
        let mut left = usize::try_from(count).unwrap_or(usize::MAX);
        let mut spent = Duration::ZERO;
        while left > 0 {
            let pipeline = self.pipeline();
            let batch = calls.get(..left).unwrap_or(calls);
            let began = Instant::now();
            self.admit(&pipeline, batch);
            spent += began.elapsed();
            left -= batch.len();
        }
        spent
    }

    fn admit(&self, pipeline: &Pipeline, calls: &[Parts]) {
        for call in calls {
            let decision =
                black_box(pipeline.decide(black_box(call), &Channel::default(), self.now));
            assert!(matches!(decision, Decision::Forward(_)), "a valid token was refused");
        }
    }

    /// What a whole decision on a new token costs over the check of its signature alone: medians of
    /// passes that take turns.
    fn over_raw(&self, key: &tokens::Key) -> Result<f64, Box<dyn Error>> {
        let calls = self.calls(key)?;
        let raw_key = Raw::new(&key.published)?;
        let signed = calls.iter().map(Signed::of).collect::<Option<Vec<_>>>().ok_or("no token")?;
        let (mut raw, mut whole) = (Vec::new(), Vec::new());
        for _ in 0..RAW_PASSES {
            let began = Instant::now();
            for token in &signed {
                black_box(raw_key.verify(black_box(token)))?;
            }
            raw.push(began.elapsed());
            whole.push(self.uncached(TOKENS.into(), &calls));
        }
        Ok(median(whole).as_secs_f64() / median(raw).as_secs_f64())
    }

    /// By how much the process grows with this many verdicts more, in MiB. As many are there before, so
    /// that what the first ones need besides does not count.
    fn memory(&self, key: &tokens::Key) -> Result<f64, Box<dyn Error>> {
        let tokens = key.tokens(2 * REMEMBERED, self.now)?;
        let pipeline = self.pipeline();
        let mut before = 0.0;
        for (number, token) in (0..).zip(&tokens) {
            if number == REMEMBERED {
                before = resident()?;
            }
            let call = request(Method::POST, ENDPOINT, Some(token))?;
            self.admit(&pipeline, &[call]);
        }
        Ok((resident()? - before) / f64::from(1 << 20))
    }

    /// The median pass over the tokens: other work on the machine makes single ones slow.
    fn typical_cached(&self, calls: &[Parts]) -> Duration {
        let pipeline = self.pipeline();
        self.admit(&pipeline, calls);
        let pass = |_| {
            let began = Instant::now();
            self.admit(&pipeline, calls);
            began.elapsed() / TOKENS
        };
        median((0..PASSES).map(pass).collect())
    }
}

fn median(mut passes: Vec<Duration>) -> Duration {
    passes.sort_unstable();
    passes.get(passes.len() / 2).copied().unwrap_or_default()
}

/// What the process has in memory, in bytes.
fn resident() -> Result<f64, Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    let kibibytes: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kibibytes * 1024.0)
}

/// A tool call as clients send it.
fn request(method: Method, path: &str, token: Option<&str>) -> http::Result<Parts> {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, "mcp.example.com")
        .header(ACCEPT, "application/json, text/event-stream")
        .header(CONTENT_TYPE, "application/json")
        .header(CONTENT_LENGTH, "161")
        .header("mcp-protocol-version", "2025-11-25");
    if let Some(token) = token {
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    Ok(request.body(())?.into_parts().0)
}

const ENDPOINT: &str = "/mcp";
const METADATA: &str = "/.well-known/oauth-protected-resource/mcp";
const TOKENS: u32 = 500;
const REMEMBERED: u32 = 10_000;
const PASSES: u32 = 501;
const RAW_PASSES: u32 = 41;
const AIM: Duration = Duration::from_micros(2);
