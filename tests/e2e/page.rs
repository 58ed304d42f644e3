//! A page in a real browser: what it may read of us is not ours to say, but the browser's.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{ChildStdout, Stdio};

use serde_json::{Value, json};

use super::provider::Provider;
use super::{Ground, Stage, counterpart, program};
use crate::harness::{Identity, Process, World};

/// A browser with two pages.
pub(super) struct Browser {
    page: String,
    stranger: String,
    output: BufReader<ChildStdout>,
    process: Process,
}

impl Browser {
    pub(super) fn start() -> Self {
        let mut command = counterpart("node", "page.mjs");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = Process(command.spawn().unwrap());
        let mut output = BufReader::new(process.0.stdout.take().unwrap());
        let origins = line(&mut output);
        let origin = |name: &str| origins[name].as_str().unwrap().to_owned();
        Self { page: origin("page"), stranger: origin("stranger"), output, process }
    }

    /// It opens, believes this certificate, and finds these hosts there.
    pub(super) fn open(&mut self, certificate: &Path, hosts: &Value) {
        self.say(&json!({
            "chromium": program("chromium"), "certificate": certificate, "hosts": hosts,
        }));
    }

    pub(super) fn say(&mut self, line: &Value) {
        writeln!(self.process.0.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    pub(super) fn next(&mut self) -> Value {
        line(&mut self.output)
    }
}

/// It goes as it came: in peace.
impl Drop for Browser {
    fn drop(&mut self) {
        drop(self.process.0.stdin.take());
        drop(self.process.0.wait());
    }
}

/// A gateway that one of the pages may call.
struct Tab {
    world: World,
    browser: Browser,
    _identity: Identity,
}

impl Tab {
    fn open() -> Self {
        let (mut browser, identity) = (Browser::start(), Identity::new());
        let world = World::with(&format!(
            "{}\nresource: {{url: {URL}, scopes: [mcp:read], origins: ['{}']}}",
            identity.settings(),
            browser.page
        ));
        let hosts = json!({ "mcp.example:443": world.gateway });
        browser.open(&identity.certificate.chain, &hosts);
        Self { world, browser, _identity: identity }
    }

    /// What a page of `origin` can read of the answer.
    fn fetch(&mut self, origin: &str, url: &str, init: &Value) -> Value {
        self.browser.say(&json!({ "origin": origin, "fetch": [url, init] }));
        self.browser.next()
    }
}

fn line(output: &mut BufReader<ChildStdout>) -> Value {
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    serde_json::from_str(&line).expect("the page says why on stderr")
}

/// As a page's client calls a tool.
fn call(token: Option<&str>) -> Value {
    let mut headers = json!({
        "Accept": "application/json, text/event-stream",
        "Content-Type": "application/json",
        "MCP-Protocol-Version": "2026-07-28",
        "Mcp-Method": "tools/call",
        "Mcp-Name": "echo",
        "Mcp-Param-Region": "eu",
        "Mcp-Session-Id": "s-1",
        "Last-Event-ID": "7",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    });
    if let Some(token) = token {
        headers["Authorization"] = format!("Bearer {token}").into();
    }
    json!({ "method": "POST", "headers": headers, "body": "{}" })
}

/// The official client in a page, and a person who signs in.
#[test]
fn a_page_completes_the_whole_dance() {
    let (mut browser, ground) = (Browser::start(), Ground::new());
    let (resource, page) = (ground.resource(), browser.page.clone());
    let provider = Provider::start(&resource);
    let further = format!(
        "{}\nresource: {{url: '{resource}', scopes: ['mcp:read'], origins: ['{page}']}}",
        ground.certificate.setting(),
    );
    let stage = Stage::on(ground, provider, &further, "");
    browser.open(&stage.ground.certificate.chain, &json!({}));
    browser.say(&json!({ "origin": page, "visit": resource }));
    let told = browser.next();
    assert_eq!(told["whoami"]["subject"], "alice", "{told:#}");
    assert_eq!(told["whoami"]["issuer"], stage.provider.issuer);
    assert_eq!(told["echo"]["echo"], "hello");
    let challenge =
        World::PLAIN_CHALLENGE.replace("mcp.example", &stage.ground.gateway.to_string());
    assert_eq!(told["challenge"], challenge);
    let steps = ["POST /mcp 401", "GET /.well-known/oauth-protected-resource/mcp 200"];
    assert_eq!(told["steps"].as_array().unwrap()[..2], steps);
    let mut rest = told["steps"].as_array().unwrap().iter().map(|step| step.as_str().unwrap());
    assert!(rest.all(|step| step.ends_with(" 200") || step.ends_with(" 201") || step == steps[0]));
}

#[test]
fn a_page_finds_its_way_from_the_challenge_to_an_answer() {
    let mut tab = Tab::open();
    let page = tab.browser.page.clone();
    let refused = tab.fetch(&page, URL, &call(None));
    assert_eq!(refused["status"], 401, "{refused:#}");
    assert_eq!(refused["headers"]["www-authenticate"], World::PLAIN_CHALLENGE);
    tab.world.upstream.saw_nothing();

    let place = "https://mcp.example/.well-known/oauth-protected-resource/mcp";
    let asking = json!({ "headers": { "MCP-Protocol-Version": "2026-07-28" } });
    let metadata = tab.fetch(&page, place, &asking);
    assert_eq!(metadata["status"], 200, "{metadata:#}");
    let document: Value = serde_json::from_str(metadata["body"].as_str().unwrap()).unwrap();
    assert_eq!(document["resource"], URL);
    assert_eq!(document["authorization_servers"], json!([tab.world.issuer.url()]));

    let token = tab.world.issuer.token();
    let mut call = call(Some(&token));
    call["headers"]["Mcp-Param-Answer"] = "HTTP/1.1 200 OK\\r\\nMcp-Session-Id: s-2\\r\\n\
        Content-Type: application/json\\r\\nContent-Length: 8\\r\\n\\r\\n{\"a\": 1}"
        .into();
    let answered = tab.fetch(&page, URL, &call);
    assert_eq!((&answered["status"], &answered["body"]), (&json!(200), &json!("{\"a\": 1}")));
    assert!(answered["headers"]["mcp-session-id"].is_string(), "{answered:#}");
    let seen = tab.world.upstream.next();
    for (name, value) in call["headers"].as_object().unwrap() {
        // These are between the client and us, or told on by us in our own words.
        if !matches!(name.as_str(), "Authorization" | "Mcp-Session-Id" | "traceparent") {
            assert_eq!(seen.values(name), [value.as_str().unwrap()], "{name}");
        }
    }
    assert_eq!(seen.values("x-postern-subject"), ["ada"]);

    let other = tab.world.issuer.key.sign(&tab.world.issuer.claims().without("scope"));
    let forbidden = tab.fetch(&page, URL, &self::call(Some(&other)));
    assert_eq!(forbidden["status"], 403, "{forbidden:#}");
    let challenge = forbidden["headers"]["www-authenticate"].as_str().unwrap();
    assert!(challenge.starts_with("Bearer error=\"insufficient_scope\""), "{challenge}");
}

#[test]
fn a_page_hears_each_event_when_it_is_said() {
    let mut tab = Tab::open();
    let mut call = call(Some(&tab.world.issuer.token()));
    call["headers"]["Mcp-Param-Answer"] = "stream".into();
    tab.browser.say(&json!({ "origin": tab.browser.page, "fetch": [URL, call], "stream": true }));
    assert_eq!(tab.browser.next()["status"], 200);
    for word in ["one", "two"] {
        tab.world.upstream.say(word);
        assert_eq!(tab.browser.next(), format!("data: {word}\n\n"));
    }
    tab.world.upstream.say("");
    assert_eq!(tab.browser.next(), Value::Null);
}

#[test]
fn a_page_that_is_not_listed_reads_nothing_and_reaches_nobody() {
    let mut tab = Tab::open();
    let stranger = tab.browser.stranger.clone();
    let token = tab.world.issuer.token();
    // The second is one that browsers send without asking first.
    let plain = json!({ "method": "POST", "body": "{}" });
    for init in [call(Some(&token)), plain, json!({})] {
        let told = tab.fetch(&stranger, URL, &init);
        let why = told["error"].as_str().unwrap_or_else(|| panic!("it was let in: {told:#}"));
        assert!(why.contains("blocked by CORS policy"), "{why}");
    }
    tab.world.upstream.saw_nothing();
    // What is meant for everybody, everybody may read.
    let place = "https://mcp.example/.well-known/oauth-protected-resource";
    assert_eq!(tab.fetch(&stranger, place, &json!({}))["status"], 200);
    // Same tab, same browser: it was the page.
    let page = tab.browser.page.clone();
    assert_eq!(tab.fetch(&page, URL, &call(Some(&token)))["status"], 200);
}

const URL: &str = "https://mcp.example/mcp";
