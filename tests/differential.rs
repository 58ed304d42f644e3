//! A few thousand tokens, good and spoilt, judged by the gateway and by an independent library. Where
//! the two disagree, the difference is listed here with its reason, or it is a bug in one of them.

mod calls;
mod draft;
mod listed;
mod random;
mod spoils;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::Algorithm;
use serde_json::{Value, json};

use crate::e2e::counterpart;
use crate::harness::{Issuer, Key, World, wait_until};
use draft::Draft;
use listed::{LISTED, Strict};
use random::Random;
use spoils::SPOILS;

#[test]
fn an_independent_library_judges_every_token_alike_but_for_the_listed_differences() {
    let seed = seed();
    let (world, keys) = stage();
    let recipes: Vec<Recipe> = (0..TOKENS).map(|number| Recipe::new(seed, number)).collect();
    let tokens: Vec<String> = recipes.iter().map(|recipe| recipe.token(&world, &keys)).collect();
    let ours = by_the_gateway(&world, &tokens);
    let theirs = by_the_library(&world, &keys, &tokens);

    let mut ledger = Ledger::default();
    for (index, recipe) in recipes.iter().enumerate() {
        ledger.note(&recipe.names(), &ours[index], &theirs[index], &tokens[index]);
    }
    let unlisted = ledger.unlisted.values().cloned().collect::<Vec<_>>().join("\n");
    assert!(unlisted.is_empty(), "not listed, with seed {seed}:\n{unlisted}");
    let stale: Vec<&str> =
        LISTED.iter().map(|(name, ..)| *name).filter(|name| !ledger.met.contains(name)).collect();
    assert!(stale.is_empty(), "listed and never met, with seed {seed}: {stale:?}");
    let both = ledger.agreed.iter().all(|count| *count > TOKENS / 5);
    assert!(both, "one-sided, with seed {seed}: {:?}", ledger.agreed);
}

/// How the two judges compare.
#[derive(Default)]
struct Ledger {
    agreed: [usize; 2],
    met: BTreeSet<&'static str>,
    unlisted: BTreeMap<String, String>,
}

impl Ledger {
    fn note(&mut self, recipe: &[&'static str], ours: &Verdict, theirs: &Verdict, token: &str) {
        let strict = match (ours, theirs) {
            (Ok(our), Ok(their)) if our == their => return self.agreed[0] += 1,
            (Err(_), Err(_)) => return self.agreed[1] += 1,
            (Err(_), Ok(_)) => Some(Strict::We),
            (Ok(_), Err(_)) => Some(Strict::They),
            // Both accept, and each for somebody else: nothing could excuse that.
            (Ok(_), Ok(_)) => None,
        };
        let listed = |name: &&'static str| {
            LISTED.iter().any(|(known, who, _)| known == name && strict == Some(*who))
        };
        let Some(name) = recipe.iter().copied().find(listed) else {
            let recipe = recipe.join(" + ");
            let told = format!("{recipe}\n  we: {ours:?}\n  they: {theirs:?}\n  {token}");
            self.unlisted.entry(recipe).or_insert(told);
            return;
        };
        self.met.insert(name);
    }
}

/// What is done to a good token: nothing, one thing or two.
struct Recipe {
    random: Random,
    key: usize,
    spoils: Vec<usize>,
}

impl Recipe {
    /// Each spoil is tried alone as often as any other; a third of all tokens are good.
    fn new(seed: u64, number: usize) -> Self {
        let mut random = Random::new(seed ^ (number as u64) << 20);
        let one = number / 3 % SPOILS.len();
        let spoils = match number % 6 {
            0 | 3 => Vec::new(),
            1 | 2 | 4 => vec![one],
            _ => vec![one, random.below(SPOILS.len())],
        };
        // Each spoil meets each key.
        Self { random, key: number / 3 / SPOILS.len(), spoils }
    }

    fn names(&self) -> Vec<&'static str> {
        self.spoils.iter().map(|spoil| SPOILS[*spoil].0).collect()
    }

    fn token(&self, world: &World, keys: &[Key]) -> String {
        let mut random = self.random.clone();
        let [key, other] = [0, 1].map(|next| &keys[(self.key + next) % keys.len()]);
        let mut draft = Draft::good(&world.issuer, key, other, &mut random);
        for spoil in &self.spoils {
            draft.spoil_with(SPOILS[*spoil].1);
        }
        draft.finish(&mut random)
    }
}

/// A gateway that trusts one issuer with a key of every kind.
fn stage() -> (World, Vec<Key>) {
    let algorithms = [
        ("rs", Algorithm::RS256),
        ("ps", Algorithm::PS256),
        ("es", Algorithm::ES256),
        ("es384", Algorithm::ES384),
        ("ed", Algorithm::EdDSA),
    ];
    let keys = Vec::from(algorithms.map(|(id, algorithm)| Key::of(algorithm, id)));
    let issuer = Issuer::start();
    issuer.publish(&keys.iter().collect::<Vec<_>>());
    let world = World::unready(issuer, "resource: {url: https://mcp.example/mcp}");
    wait_until("the proxy is ready", || world.is_ready());
    (world, keys)
}

/// The subject that a verdict names, or why there is none.
type Verdict = Result<String, String>;

fn by_the_gateway(world: &World, tokens: &[String]) -> Vec<Verdict> {
    let mut wire = world.connect();
    let judge = |token: &String| {
        let response = wire.call(token);
        match response.status {
            200 => Ok(plain(world.upstream.next().values("x-postern-subject")[0])),
            400 | 401 | 503 => Err(response.body),
            _ => panic!("{response:?} to {token}"),
        }
    };
    let verdicts = tokens.iter().map(judge).collect();
    world.upstream.saw_nothing();
    verdicts
}

/// What a header's value stands for.
fn plain(value: &str) -> String {
    let wrapped = value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?="));
    wrapped.map_or_else(
        || value.to_owned(),
        |wrapped| String::from_utf8(STANDARD.decode(wrapped).unwrap()).unwrap(),
    )
}

fn by_the_library(world: &World, keys: &[Key], tokens: &[String]) -> Vec<Verdict> {
    let keys: Vec<Value> = keys.iter().map(Key::published).collect();
    let task = json!({
        "keys": { "keys": keys }, "issuer": world.issuer.url(), "leeway": 30,
        "audience": "https://mcp.example/mcp", "tokens": tokens,
    });
    let mut judge = counterpart("python", "judge.py");
    let mut judge = judge.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    judge.stdin.take().unwrap().write_all(task.to_string().as_bytes()).unwrap();
    let output = judge.wait_with_output().unwrap();
    let verdicts: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let verdict = |verdict: &Value| match verdict.get("refused") {
        Some(why) => Err(why.as_str().unwrap().to_owned()),
        None => Ok(verdict["subject"].as_str().unwrap_or_default().to_owned()),
    };
    assert_eq!(verdicts.len(), tokens.len());
    verdicts.iter().map(verdict).collect()
}

/// The same every time, unless somebody wants others.
#[expect(clippy::disallowed_methods, reason = "whoever looks for more may choose")]
fn seed() -> u64 {
    std::env::var("DIFFERENTIAL_SEED").map_or(20_261_120, |seed| seed.parse().unwrap())
}

const TOKENS: usize = 3_600;
