//! What the operator has revoked is refused at once, and no stream outlives its token.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{H2, Identity, Issuer, Key, Process, Wire, World, now, postern, wait_until};

/// A list in a file, as an operator keeps it.
struct List {
    path: PathBuf,
    directory: TempDir,
}

impl List {
    fn new(text: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let list = Self { path: directory.path().join("revoked.yaml"), directory };
        list.write(text);
        list
    }

    /// All at once, as a program that cares would.
    fn write(&self, text: &str) {
        let new = self.directory.path().join("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, &self.path).unwrap();
    }

    fn settings(&self) -> String {
        format!("revocations: {{file: '{}'}}", self.path.display())
    }
}

const REVOKED: &str = "the token has been revoked";

fn is_revoked(world: &World, token: &str) -> bool {
    let response = world.call(token);
    let refused = response.status == 401;
    if refused {
        let challenge = World::challenge("invalid_token", REVOKED);
        assert_eq!(response.header("www-authenticate"), challenge);
    }
    refused
}

#[test]
fn a_token_on_the_list_is_refused_even_if_it_was_accepted_before() {
    let list = List::new("tokens: []");
    let world = World::with(&list.settings());
    let token = world.issuer.token();
    let other = world.issuer.key.sign(&world.issuer.claims().set("jti", "2"));
    for token in [&token, &other] {
        assert_eq!(world.call(token).status, 200);
        world.upstream.next();
    }
    list.write("tokens: ['1']");
    wait_until("the token is refused", || is_revoked(&world, &token));
    assert_eq!(world.call(&other).status, 200);
    assert!((world.metric("postern_revocations") - 1.0).abs() < f64::EPSILON);
    list.write("tokens: []");
    wait_until("the token is believed again", || world.call(&token).status == 200);
}

#[test]
fn a_subject_is_cut_off_up_to_a_time() {
    let world = World::with(
        &List::new("subjects: [{subject: ada, issued_before: '2020-01-01T00:00:00Z'}]").settings(),
    );
    let claims = world.issuer.claims();
    let old = claims.clone().set("iat", 1_577_836_799);
    assert!(is_revoked(&world, &world.issuer.key.sign(&old)));
    let undated = claims.clone().without("iat");
    assert!(is_revoked(&world, &world.issuer.key.sign(&undated)), "it may be from any time");
    world.upstream.saw_nothing();
    let new = claims.clone().set("iat", 1_577_836_800);
    assert_eq!(world.call(&world.issuer.key.sign(&new)).status, 200);
    let somebody_else = old.set("sub", "adam");
    assert_eq!(world.call(&world.issuer.key.sign(&somebody_else)).status, 200);
}

#[test]
fn an_entry_for_an_issuer_that_is_not_trusted_is_told_of_once() {
    let list = List::new("tokens: []");
    let world = World::with(&list.settings());
    let (issuer, token) = (world.issuer.url(), world.issuer.token());
    let slip = format!("subjects: [{{subject: ada, issuer: '{issuer}/'}}]");
    list.write(&slip);
    let told = "revocation without effect: no such issuer is trusted";
    let line: Value = serde_json::from_str(&world.log_line(told)).unwrap();
    assert_eq!((&line["level"], &line["subject"]), (&"WARN".into(), &"ada".into()), "{line}");
    assert_eq!(line["issuer"], format!("{issuer}/"));
    assert_eq!(world.call(&token).status, 200, "it is in force, as it is written");
    list.write(&format!("subjects: [{{subject: ada, issuer: '{issuer}'}}, {{subject: bob}}]"));
    wait_until("the token is refused", || is_revoked(&world, &token));
    let more: Vec<String> = world.log.try_iter().filter(|line| line.contains(told)).collect();
    assert!(more.is_empty(), "{more:?}");
}

#[test]
fn a_list_that_cannot_be_read_changes_nothing_and_is_told_of() {
    let list = List::new("tokens: ['1']");
    let world = World::with(&list.settings());
    let token = world.issuer.token();
    assert!(is_revoked(&world, &token));
    for broken in ["", "tokens: [", "tokenz: []", "tokens: {a: b}"] {
        list.write(broken);
        wait_until("it is noticed", || world.metric("postern_revocations_current") < 0.5);
        assert!(is_revoked(&world, &token), "{broken}");
        list.write("tokens: ['1', '2']");
        wait_until("it is read again", || world.metric("postern_revocations_current") > 0.5);
        list.write("tokens: ['1']");
    }
    fs::remove_file(&list.path).unwrap();
    wait_until("it is noticed", || world.metric("postern_revocations_current") < 0.5);
    assert!(is_revoked(&world, &token));
}

#[test]
fn without_a_list_that_was_asked_for_nothing_starts() {
    let list = List::new("token: ['1']");
    let empty = list.directory.path().join("empty.yaml");
    fs::write(&empty, "").unwrap();
    for (path, word) in [
        (list.path.as_path(), "there is no such setting"),
        (&empty, "it is empty"),
        (Path::new("/nowhere/revoked.yaml"), "No such file"),
    ] {
        let config = list.directory.path().join("postern.yaml");
        let text = format!(
            "listen: 127.0.0.1:0\ntls: off\nadmin: {{listen: 127.0.0.1:0}}\n\
             resource: {{url: https://mcp.example/mcp}}\nissuers: [{{issuer: https://id.example}}]\n\
             upstream: {{address: unix:/run/b}}\nrevocations: {{file: '{}'}}\n",
            path.display()
        );
        fs::write(&config, text).unwrap();
        let mut run = postern();
        run.args(["run", "--config"]).arg(&config).stderr(Stdio::piped());
        let mut run = Process(run.spawn().unwrap());
        let mut ended = None;
        wait_until("it gives up", || {
            ended = run.0.try_wait().unwrap();
            ended.is_some()
        });
        let mut said = String::new();
        run.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(ended.unwrap().code(), Some(78), "{said}");
        assert!(said.contains("revocations.file") && said.contains(word), "{said}");
    }
}

/// Opens a stream and hears the first word on it.
fn open(world: &World, token: &str) -> Wire {
    let mut wire = world.connect();
    wire.send(format!(
        "GET /mcp HTTP/1.1\r\nHost: mcp.example\r\nAuthorization: Bearer {token}\r\n\
         x-answer: stream\r\n\r\n"
    ));
    assert!(wire.head().starts_with("HTTP/1.1 200"));
    world.upstream.next();
    world.upstream.say("hello");
    assert_eq!(wire.event(), "data: hello");
    wire
}

#[track_caller]
fn is_ended(world: &World, mut wire: Wire, why: &str) {
    assert!(world.upstream.was_abandoned_within(PROMPTLY), "the server is hung up on");
    assert!(!wire.rest().ends_with("0\r\n\r\n"), "the client can tell that it is cut off");
    let line = world.log.iter().find(|line| line.contains("\"stream_ended\"")).unwrap();
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((line["ended"].as_str(), line["subject"].as_str()), (Some(why), Some("ada")));
    assert!(world.metric("postern_requests_total{outcome=\"stream_ended\"}") > 0.5);
}

#[test]
fn a_stream_ends_with_its_token_and_no_sooner() {
    let world = World::trusting("leeway: 1s");
    let expires = now() + 1;
    let short = world.issuer.key.sign(&world.issuer.claims().set("exp", expires));
    let wire = open(&world, &short);
    assert!(!world.upstream.was_abandoned_within(Duration::from_millis(200)));
    is_ended(&world, wire, "token_expired");
    assert!(now() > expires, "the leeway was given");
}

/// Whoever asks for leave to send has the backend say something before its answer.
#[test]
fn a_stream_that_followed_an_interim_answer_ends_with_its_token_too() {
    let list = List::new("tokens: []");
    let world = World::with(&list.settings());
    let mut wire = world.connect();
    wire.send(format!(
        "POST /mcp HTTP/1.1\r\nHost: mcp.example\r\nAuthorization: Bearer {}\r\n\
         Expect: 100-continue\r\nContent-Length: 2\r\nx-answer: stream\r\n\r\n",
        world.issuer.token()
    ));
    assert!(wire.head().starts_with("HTTP/1.1 100"));
    wire.send("{}");
    assert!(wire.head().starts_with("HTTP/1.1 200"));
    world.upstream.next();
    world.upstream.say("hello");
    assert_eq!(wire.event(), "data: hello");
    list.write("tokens: ['1']");
    is_ended(&world, wire, "token_revoked");
}

#[test]
fn a_stream_ends_when_its_token_is_revoked() {
    let list = List::new("tokens: []");
    let world = World::with(&list.settings());
    let wire = open(&world, &world.issuer.token());
    list.write("subjects: [{subject: adam}]");
    wait_until("the list is in force", || world.metric("postern_revocations") > 0.5);
    assert!(!world.upstream.was_abandoned_within(Duration::from_millis(100)));
    list.write("tokens: ['1']");
    is_ended(&world, wire, "token_revoked");
}

#[test]
fn a_stream_ends_when_its_key_is_withdrawn_and_outlasts_other_keys() {
    let world = World::start();
    let wire = open(&world, &world.issuer.token());
    let next = Key::new("next");
    world.issuer.publish(&[&world.issuer.key, &next]);
    assert_eq!(world.call(&next.sign(&world.issuer.claims())).status, 200);
    world.upstream.next();
    assert!(!world.upstream.was_abandoned_within(Duration::from_millis(100)));
    let last = Key::new("last");
    world.issuer.publish(&[&next, &last]);
    // It has us look at the keys, and goes no further.
    assert_eq!(world.call(&last.sign(&world.issuer.claims().without("scope"))).status, 403);
    is_ended(&world, wire, "token_key_withdrawn");
}

#[test]
fn an_http2_stream_ends_alone() {
    let identity = Identity::new();
    let issuer = Issuer::start();
    let settings =
        format!("{}\nissuers: [{{issuer: '{}', leeway: 1s}}]", identity.settings(), issuer.url());
    let world = World::unready(issuer, &settings);
    wait_until("the proxy is ready", || world.is_ready());
    let short = world.issuer.key.sign(&world.issuer.claims().set("exp", now() + 1));
    let bearer = format!("Bearer {short}");
    let headers = [("authorization", bearer.as_str()), ("x-answer", "stream")];
    let mut client = H2::connect(world.gateway, &identity);
    let mut answer = client.open("GET", "/mcp", &headers, "").unwrap();
    world.upstream.next();
    assert!(world.upstream.was_abandoned_within(PROMPTLY));
    assert!(answer.rest().is_err(), "it can tell that something is missing");
    assert_eq!(client.call(&world.issuer.token()).status, 200);
}

const PROMPTLY: Duration = Duration::from_secs(5);
