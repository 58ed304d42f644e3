//! One event for each decision on what is protected, kept whatever happens to the file.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Issuer, World, now, postern, wait_until};

/// A place for events.
struct Log {
    directory: TempDir,
}

impl Log {
    fn new() -> Self {
        let log = Self { directory: tempfile::tempdir().unwrap() };
        fs::create_dir(log.directory.path().join("audit")).unwrap();
        log
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("audit/events.jsonl")
    }

    fn settings(&self, more: &str) -> String {
        format!("audit: {{to: '{}'{more}}}", self.path().display())
    }

    fn events(&self) -> Vec<Value> {
        lines(&self.path()).iter().map(|line| serde_json::from_str(line).expect(line)).collect()
    }

    /// The events, once there are so many.
    #[track_caller]
    fn has(&self, count: usize) -> Vec<Value> {
        wait_until("the events are written", || lines(&self.path()).len() >= count);
        let events = self.events();
        assert_eq!(events.len(), count, "{events:?}");
        events
    }

    fn chained(&self, calls: usize) {
        let world = World::with(&self.settings(", chain: true"));
        for _ in 0..calls {
            assert_eq!(world.call(&world.issuer.token()).status, 200);
        }
        stop(&world);
    }
}

fn lines(path: &Path) -> Vec<String> {
    fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// Ends with the process.
fn stop(world: &World) {
    world.signal("-TERM");
    drop(world.log.iter().collect::<Vec<_>>());
}

struct Said {
    code: i32,
    text: String,
}

fn verify(arguments: &[&Path]) -> Said {
    let output = postern().args(["audit", "verify"]).args(arguments).output().unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    Said { code: output.status.code().unwrap(), text }
}

#[track_caller]
fn is(said: &Said, code: i32, part: &str) {
    assert!(said.code == code && said.text.contains(part), "{part:?}: {} {}", said.code, said.text);
}

const ONE_TOOL: &str = "resource: {url: https://mcp.example/mcp, scopes: [mcp:read], policy: {\
                        allow: [{tools: [whoami]}]}}";

fn call(world: &World, name: &str) -> u16 {
    let arguments = json!({ "city": "Paris", "inner": { "Secret": "hush" } });
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": { "name": name, "arguments": arguments } });
    let token = format!("Bearer {}", world.issuer.token());
    let headers = [
        ("Authorization", token.as_str()),
        ("Content-Type", "application/json"),
        ("X-Request-Id", "one"),
        ("traceparent", "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"),
    ];
    world.connect().request("POST", "/mcp", &headers, &message.to_string()).status
}

#[test]
fn each_decision_is_an_event_that_says_who_and_what_and_why() {
    let log = Log::new();
    let world = World::with(&format!("{}\n{ONE_TOOL}", log.settings("")));
    assert_eq!((call(&world, "whoami"), call(&world, "delete")), (200, 403));
    assert_eq!(world.request("GET", "/mcp", &[]).status, 401);
    for public in ["/healthz", "/", "/nowhere"] {
        world.request("GET", public, &[]);
    }
    let events = log.has(3);
    let of = |code: &str| events.iter().find(|event| event["code"] == code).expect(code);
    let permitted = of("forwarded");
    for (name, value) in [
        ("verdict", "permitted"),
        ("issuer", &world.issuer.url()),
        ("subject", "ada"),
        ("client", "test-client"),
        ("resource", "https://mcp.example/mcp"),
        ("method", "POST"),
        ("call", "tools/call"),
        ("name", "whoami"),
        ("request_id", "one"),
        ("trace_id", "0123456789abcdef0123456789abcdef"),
        ("address", "127.0.0.1"),
    ] {
        assert_eq!(permitted[name], value, "{permitted}");
    }
    let time = permitted["time"].as_str().unwrap();
    assert!(
        chrono::DateTime::parse_from_rfc3339(time)
            .is_ok_and(|t| (t.timestamp() - now()).abs() < 60)
    );
    let denied = of("denied");
    assert_eq!((&denied["verdict"], &denied["rule"]), (&"refused".into(), &"default".into()));
    assert_eq!((&denied["subject"], &denied["name"]), (&"ada".into(), &"delete".into()));
    let stranger = of("no_credentials");
    assert_eq!((&stranger["verdict"], &stranger["subject"]), (&"refused".into(), &Value::Null));
    let text = fs::read_to_string(log.path()).unwrap();
    assert!(!text.contains("hush") && !text.contains(&world.issuer.token()[..40]), "{text}");
    let mode = fs::metadata(log.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn arguments_are_told_when_asked_for_and_without_what_is_to_be_hidden() {
    let log = Log::new();
    let world = World::with(&format!("{}\n{ONE_TOOL}", log.settings(", arguments: true")));
    assert_eq!(call(&world, "whoami"), 200);
    let event = &log.has(1)[0];
    let told = json!({ "city": "Paris", "inner": { "Secret": "[redacted]" } });
    assert_eq!(event["arguments"], told, "{event}");
}

#[test]
fn a_stream_that_ends_with_its_token_is_an_event_of_its_own() {
    let log = Log::new();
    let issuer = Issuer::start();
    let entry = format!("issuers: [{{issuer: '{}', leeway: 0s}}]", issuer.url());
    let world = World::unready(issuer, &format!("{entry}\n{}", log.settings("")));
    wait_until("the proxy is ready", || world.is_ready());
    let token = world.issuer.key.sign(&world.issuer.claims().set("exp", now() + 2));
    let mut wire = world.connect();
    wire.send(format!(
        "GET /mcp HTTP/1.1\r\nHost: mcp.example\r\nAuthorization: Bearer {token}\r\nx-answer: stream\r\n\r\n"
    ));
    assert!(wire.head().starts_with("HTTP/1.1 200"));
    wire.rest();
    let events = log.has(2);
    let told: Vec<_> = events.iter().map(|event| (&event["verdict"], &event["code"])).collect();
    assert_eq!(told[0], (&"permitted".into(), &"forwarded".into()));
    assert_eq!(told[1], (&"ended".into(), &"token_expired".into()));
    assert_eq!(events[0]["request_id"], events[1]["request_id"]);
    assert_eq!(events[1]["subject"], "ada");
}

#[test]
fn events_may_go_where_the_log_goes() {
    let world = World::with("audit: {to: stderr}");
    assert_eq!(world.call(&world.issuer.token()).status, 200);
    let line: Value = serde_json::from_str(&world.log_line("\"verdict\"")).unwrap();
    assert_eq!((&line["verdict"], &line["subject"]), (&"permitted".into(), &"ada".into()));
}

#[test]
fn a_chain_goes_on_over_restarts_and_shows_what_was_done_to_it() {
    let log = Log::new();
    log.chained(3);
    log.chained(2);
    let (path, whole) = (log.path(), lines(&log.path()));
    assert_eq!(whole.len(), 5);
    is(&verify(&[&path]), 0, "whole: 5 events; last digest ");
    let spoiled = log.directory.path().join("spoiled");
    let spoil = |change: &dyn Fn(&mut Vec<String>)| {
        let mut lines = whole.clone();
        change(&mut lines);
        fs::write(&spoiled, lines.join("\n") + "\n").unwrap();
        verify(&[&spoiled])
    };
    is(&spoil(&|_| ()), 0, "whole: 5 events");
    is(&spoil(&|lines| drop(lines.remove(2))), 1, "spoiled: line 3: 1 missing before it");
    let eve = |line: &str| line.replace("\"ada\"", "\"eve\"");
    is(&spoil(&|lines| lines[3] = eve(&lines[3])), 1, "spoiled: line 4: it was changed");
    is(&spoil(&|lines| lines.swap(1, 2)), 1, "spoiled: line 2: ");
    is(&spoil(&|lines| drop(lines.remove(0))), 1, "line 1: 1 events come before it");
    let digest = verify(&[&path]).text.trim_end().rsplit(' ').next().unwrap().to_owned();
    let cut = log.directory.path().join("cut");
    fs::write(&cut, whole[..4].join("\n")).unwrap();
    is(&verify(&[&cut, Path::new("--seen"), Path::new(&digest)]), 1, "at the end are missing");
    is(&verify(&[&path, Path::new("--seen"), Path::new(&digest)]), 0, "whole");
    is(&verify(&[Path::new("/no/such")]), 2, "/no/such");
}

/// Killed in the middle of a line, it says so and goes on.
#[test]
fn a_torn_line_is_told_and_spoils_no_other() {
    let log = Log::new();
    log.chained(2);
    let mut text = fs::read_to_string(log.path()).unwrap();
    text.push_str("{\"time\":\"2026-");
    fs::write(log.path(), text).unwrap();
    log.chained(1);
    let said = verify(&[&log.path()]);
    is(&said, 0, "line 3 is no event");
    is(&said, 0, "whole: 3 events");
}

#[test]
fn a_file_that_is_replaced_is_left_alone_and_the_chain_goes_on_in_the_new_one() {
    let log = Log::new();
    let world = World::with(&log.settings(", chain: true"));
    let call = || assert_eq!(world.call(&world.issuer.token()).status, 200);
    call();
    log.has(1);
    let old = log.directory.path().join("events.1");
    fs::rename(log.path(), &old).unwrap();
    call();
    call();
    log.has(2);
    assert_eq!(lines(&old).len(), 1);
    let said = verify(&[&old, &log.path()]);
    is(&said, 0, "whole: 3 events");
    is(&verify(&[&log.path()]), 1, "name that first");
}

#[test]
fn a_chain_has_one_writer() {
    let log = Log::new();
    let world = World::with(&log.settings(", chain: true"));
    let other = log.directory.path().join("other.yaml");
    let settings = format!(
        "listen: 127.0.0.1:0\nadmin: {{listen: '127.0.0.1:0'}}\ntls: off\n\
         resource: {{url: 'https://mcp.example/mcp'}}\nupstream: {{address: 'unix:/b'}}\n\
         issuers: [{{issuer: '{}'}}]\n{}",
        world.issuer.url(),
        log.settings(", chain: true")
    );
    fs::write(&other, settings).unwrap();
    let run = |verb| -> (Option<i32>, String) {
        let output = postern().args([verb, "--config"]).arg(&other).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, told) = run("run");
    assert!(code == Some(78) && told.contains("another process writes to it"), "{told}");
    let (code, told) = run("validate");
    assert_eq!(code, Some(0), "it disturbs nobody: {told}");
    fs::remove_dir_all(log.path().parent().unwrap()).unwrap();
    let (code, told) = run("validate");
    assert!(code == Some(78) && told.contains("audit.to: "), "{told}");
}

/// The directory goes, so that nothing can be written, and comes back.
fn outage(log: &Log, world: &World, meanwhile: impl FnOnce()) {
    let directory = log.path().parent().unwrap().to_owned();
    let away = log.directory.path().join("away");
    fs::rename(&directory, &away).unwrap();
    // Nobody knows yet: this one is written when it can be.
    assert_eq!(world.call(&world.issuer.token()).status, 200);
    wait_until("it is known", || world.metric("postern_audit_failing") > 0.5);
    world.log_line("audit events not written");
    meanwhile();
    fs::create_dir(&directory).unwrap();
    wait_until("all is well again", || world.metric("postern_audit_failing") < 0.5);
    assert!(world.metric("postern_audit_events_total{result=\"lost\"}") < 0.5);
}

#[test]
fn while_nothing_can_be_written_requests_pass_and_their_events_wait() {
    let log = Log::new();
    let world = World::with(&log.settings(", chain: true"));
    assert_eq!(world.call(&world.issuer.token()).status, 200);
    log.has(1);
    outage(&log, &world, || {
        for _ in 0..5 {
            assert_eq!(world.call(&world.issuer.token()).status, 200);
        }
    });
    log.has(6);
    let old = log.directory.path().join("away/events.jsonl");
    is(&verify(&[&old, &log.path()]), 0, "whole: 7 events");
}

#[test]
fn where_events_are_required_nothing_passes_untold() {
    let log = Log::new();
    let world = World::with(&log.settings(", required: true"));
    let passes = || {
        let response = world.call(&world.issuer.token());
        if response.status == 200 {
            world.upstream.next();
        }
        response
    };
    assert_eq!(passes().status, 200);
    outage(&log, &world, || {
        world.upstream.next();
        let refused = passes();
        assert_eq!((refused.status, refused.header("retry-after")), (503, "5"));
        world.upstream.saw_nothing();
        let logged = world.log_line("\"outcome\":\"no_audit\"");
        assert!(logged.contains("\"subject\":\"ada\""), "{logged}");
    });
    assert_eq!(passes().status, 200);
    let codes: Vec<_> = log.has(3).iter().map(|event| event["code"].clone()).collect();
    assert_eq!(codes, ["forwarded", "no_audit", "forwarded"]);
}

#[test]
fn what_was_told_last_is_written_before_the_end() {
    let log = Log::new();
    let world = World::with(&log.settings(""));
    for _ in 0..20 {
        assert_eq!(world.call(&world.issuer.token()).status, 200);
    }
    stop(&world);
    assert_eq!(log.events().len(), 20);
}

#[test]
fn the_help_says_what_a_chain_is_worth() {
    let output = Command::new(postern().get_program()).args(["audit", "verify", "--help"]).output();
    let text = String::from_utf8(output.unwrap().stdout).unwrap();
    assert!(text.contains("--seen") && text.contains("Exit codes"), "{text}");
}
