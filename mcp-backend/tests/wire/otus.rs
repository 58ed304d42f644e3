//! `otus_teams`: another API, asked on behalf of callers.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::harness::{Beyond, Post, Process, Server, call, modern, team_of};

const EXCHANGE: &str = "credential: token_exchange";

/// The backend with Otus beyond it, and these settings too.
async fn with(settings: &str) -> (Server, Beyond) {
    let beyond = Beyond::start().await;
    (Server::with(&told(&beyond, settings)).await, beyond)
}

fn told(beyond: &Beyond, settings: &str) -> String {
    let mut told = format!("otus:\n  base_url: http://{}/api\n", beyond.address);
    if !settings.contains("timeout") {
        told.push_str("  timeout: 3s\n");
    }
    if !settings.contains("passthrough") {
        write!(
            told,
            "  token_endpoint: http://{}/token\n  client_id: 'back end'\n  \
             client_secret_file: {{secret}}\n  audience: https://otus.example\n",
            beyond.address
        )
        .unwrap();
    }
    for setting in settings.split(", ") {
        writeln!(told, "  {setting}").unwrap();
    }
    told
}

fn teams(token: &str) -> Post {
    Post::modern("tools/call", call("otus_teams", json!({})))
        .with("Authorization", &format!("Bearer {token}"))
}

/// What came of the call of somebody with this token.
async fn called(server: &Server, token: &str) -> Value {
    server.send(teams(token)).await.result()
}

async fn fails(token: &str, beginning: &str) {
    let (server, _beyond) = with(EXCHANGE).await;
    let result = called(&server, token).await;
    let text = result["content"][0]["text"].as_str().unwrap();
    assert_eq!(result["isError"], true, "{result}");
    assert!(text.starts_with(beginning) && !text.contains("SECRET"), "{text}");
}

#[tokio::test]
async fn exchanges_the_callers_token_for_one_that_otus_is_shown() {
    let (server, mut beyond) = with(EXCHANGE).await;
    let result = server.send(teams("ada").with("X-Correlation-ID", "trace-1")).await.result();
    assert_eq!(result["structuredContent"], json!({ "teams": team_of("for-ada") }));
    let exchange = beyond.next().await;
    // `back end:s3cret+/=`, each encoded like a form first.
    assert_eq!(exchange.header("authorization"), "Basic YmFjaytlbmQ6czNjcmV0JTJCJTJGJTNE");
    let token = "urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token";
    let expected = format!(
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token=ada\
         &subject_token_type={token}&requested_token_type={token}\
         &audience=https%3A%2F%2Fotus.example"
    );
    assert_eq!(exchange.body, expected);
    let asked = beyond.next().await;
    assert_eq!((asked.header("authorization"), &*asked.path), ("Bearer for-ada", "/api/teams"));
    assert_eq!((exchange.header("trace-id"), asked.header("trace-id")), ("trace-1", "trace-1"));
    assert!(!asked.headers.contains_key("x-postern-subject"));
}

#[tokio::test]
async fn exchanges_once_while_the_token_lives_and_for_each_caller_apart() {
    let (server, mut beyond) = with(EXCHANGE).await;
    for _ in 0..2 {
        assert_eq!(called(&server, "ada").await["structuredContent"]["teams"], team_of("for-ada"));
    }
    let grace = server.send(teams("grace").by("grace")).await.answer();
    assert_eq!(grace["teams"], team_of("for-grace"));
    let less = teams("less").without("X-Postern-Scopes").with("X-Postern-Scopes", "mcp:read");
    assert_eq!(server.send(less).await.answer()["teams"], team_of("for-less"));
    let mut paths = Vec::new();
    for _ in 0..7 {
        paths.push(beyond.next().await.path);
    }
    let exchanged = paths.iter().filter(|path| *path == "/token").count();
    assert_eq!(exchanged, 3, "{paths:?}");
    beyond.heard_nothing();
}

#[tokio::test]
async fn remembers_no_token_that_is_about_to_end() {
    let (server, mut beyond) = with(EXCHANGE).await;
    for _ in 0..2 {
        called(&server, "brief").await;
        assert_eq!(beyond.next().await.path, "/token");
        assert_eq!(beyond.next().await.path, "/api/teams");
    }
}

#[tokio::test]
async fn gets_another_where_a_remembered_token_was_withdrawn() {
    let (server, mut beyond) = with(EXCHANGE).await;
    for number in [0, 2] {
        let expected = if number == 0 { "for-numbered-0" } else { "for-numbered-1" };
        let teams = called(&server, "numbered").await["structuredContent"]["teams"].clone();
        assert_eq!(teams, team_of(expected));
    }
    for path in ["/token", "/api/teams", "/api/teams", "/token", "/api/teams"] {
        assert_eq!(beyond.next().await.path, path);
    }
    beyond.heard_nothing();
}

#[tokio::test]
async fn asks_with_a_token_of_its_own_and_names_the_caller() {
    let (server, mut beyond) =
        with("credential: client_credentials, authentication: client_secret_post").await;
    for subject in ["ada", "grace&subject=ada"] {
        let post = Post::modern("tools/call", call("otus_teams", json!({}))).by(subject);
        assert_eq!(server.send(post).await.answer()["teams"], team_of("for-ourselves"));
    }
    let granted = beyond.next().await;
    let expected = "grant_type=client_credentials&audience=https%3A%2F%2Fotus.example\
                    &client_id=back+end&client_secret=s3cret%2B%2F%3D";
    assert_eq!(granted.body, expected);
    for subject in ["ada", "grace%26subject%3Dada"] {
        let path = format!("/api/teams?issuer=https%3A%2F%2Fid.example&subject={subject}");
        assert_eq!(beyond.next().await.path, path);
    }
}

#[tokio::test]
async fn shows_the_callers_token_only_when_told_so_in_so_many_words() {
    let (server, mut beyond) = with("credential: passthrough_unsafe, trace_header: X-Trace").await;
    called(&server, "ada").await;
    let asked = beyond.next().await;
    assert_eq!(asked.header("authorization"), "Bearer ada");
    assert!(!asked.header("x-trace").is_empty());
    beyond.heard_nothing();
}

#[tokio::test]
async fn tells_the_ways_apart_in_which_otus_says_no() {
    fails("unauthorized", "unauthenticated: Otus").await;
    fails("forbidden", "forbidden: ").await;
    fails("failing", "unavailable: ").await;
}

#[tokio::test]
async fn takes_nothing_from_otus_that_is_no_answer() {
    fails("broken", "unavailable: ").await;
    fails("huge", "unavailable: ").await;
    fails("slow", "unavailable: ").await;
}

/// No answer, and no end of patience but the client's.
const PATIENT: &str = "credential: token_exchange, timeout: 5m";

#[tokio::test]
async fn asks_no_longer_for_a_client_of_2026_07_28_that_hangs_up() {
    let (server, mut beyond) = with(PATIENT).await;
    let mut client = server.connect().await;
    client.post(teams("slow")).await;
    for path in ["/token", "/api/teams"] {
        assert_eq!(beyond.next().await.path, path);
    }
    drop(client);
    assert_eq!(beyond.next().await.path, "gone");
}

#[tokio::test]
async fn asks_no_longer_for_a_client_of_2025_11_25_that_cancels() {
    let (server, mut beyond) = with(PATIENT).await;
    let (mut client, mut second) = (server.connect().await, server.connect().await);
    let session = second.begin("ada").await;
    let call = Post::legacy("tools/call", call("otus_teams", json!({}))).in_session(&session);
    client.open_stream(call.with("Authorization", "Bearer slow")).await;
    for path in ["/token", "/api/teams"] {
        assert_eq!(beyond.next().await.path, path);
    }
    let cancelled = Post::notification("notifications/cancelled", json!({ "requestId": 1 }));
    assert_eq!(second.send(cancelled.in_session(&session)).await.status(), "202");
    assert_eq!(beyond.next().await.path, "gone");
}

#[tokio::test]
async fn tells_its_progress_to_who_wants_to_know() {
    let (server, _beyond) = with(EXCHANGE).await;
    let mut client = server.connect().await;
    let session = client.begin("ada").await;
    let mut params = call("otus_teams", json!({}));
    params["_meta"] = json!({ "progressToken": "p" });
    let call = Post::legacy("tools/call", params).in_session(&session);
    client.open_stream(call.with("Authorization", "Bearer ada")).await;
    for progress in [0.0, 1.0] {
        let event = client.event().await;
        assert_eq!(event["method"], "notifications/progress", "{event}");
        assert_eq!(
            event["params"],
            json!({ "progressToken": "p", "progress": progress, "total": 1.0 })
        );
    }
    assert_eq!(client.event().await["result"]["structuredContent"]["teams"], team_of("for-ada"));
}

#[tokio::test]
async fn follows_no_redirect() {
    let (server, mut beyond) = with(EXCHANGE).await;
    assert_eq!(called(&server, "redirected").await["isError"], true);
    for path in ["/token", "/api/teams"] {
        assert_eq!(beyond.next().await.path, path);
    }
    beyond.heard_nothing();
}

#[tokio::test]
async fn blames_the_caller_for_nothing_that_is_its_own_fault() {
    fails("misconfigured", "unavailable: ").await;
}

#[tokio::test]
async fn has_a_caller_challenged_whose_token_is_no_longer_good() {
    let (server, mut beyond) = with(EXCHANGE).await;
    // Some clients always want to hear of progress; none is told before the answer is certain.
    let mut params = call("otus_teams", json!({}));
    params["_meta"] = json!({ "progressToken": "p" });
    let attentive = Post::modern("tools/call", params).with("Authorization", "Bearer revoked");
    for post in [teams("revoked"), attentive] {
        let reply = server.send(post).await;
        assert_eq!(reply.status(), "401", "{reply:?}");
        assert_eq!(reply.header("www-authenticate"), Some("Bearer error=\"invalid_token\""));
        assert!(!reply.text().contains("SECRET"), "{reply:?}");
        assert_eq!(beyond.next().await.path, "/token");
    }
    beyond.heard_nothing();
}

/// An answer that has begun cannot become another one.
#[tokio::test]
async fn tells_a_caller_in_a_session_to_sign_in_again() {
    let (server, _beyond) = with(EXCHANGE).await;
    let mut client = server.connect().await;
    let session = client.begin("ada").await;
    let call = Post::legacy("tools/call", call("otus_teams", json!({}))).in_session(&session);
    let result = client.send(call.with("Authorization", "Bearer revoked")).await.result();
    let text = result["content"][0]["text"].as_str().unwrap();
    assert_eq!(result["isError"], true, "{result}");
    assert!(text.starts_with("unauthenticated: ") && text.ends_with("sign in again"), "{text}");
}

#[tokio::test]
async fn says_what_is_missing_where_no_token_arrives() {
    let (server, mut beyond) = with(EXCHANGE).await;
    let bare = Post::modern("tools/call", call("otus_teams", json!({})));
    let result = server.send(bare).await.result();
    let text = result["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("forward.authorization: keep"), "{text}");
    let twice = server.send(teams("ada").with("Authorization", "Bearer grace")).await.result();
    assert_eq!(twice["isError"], true);
    beyond.heard_nothing();
}

#[tokio::test]
async fn is_not_offered_where_nobody_knows_otus() {
    let server = Server::on_tcp().await;
    let tools = server.send(Post::modern("tools/list", json!({}))).await.result();
    assert!(!tools.to_string().contains("otus_teams"));
    let reply = server.send(teams("ada")).await;
    assert_eq!(reply.json()["error"]["code"], -32602);
}

#[tokio::test]
async fn knows_no_teams_of_a_caller_on_stdio() {
    let beyond = Beyond::start().await;
    let directory = tempfile::tempdir().unwrap();
    let settings = Server::settings(&directory, &told(&beyond, EXCHANGE));
    let mut server = Process::start(&["--config", settings.to_str().unwrap()]);
    let answer = server.ask(&modern(1, "tools/call", call("otus_teams", json!({})))).await;
    assert_eq!(answer["result"]["isError"], true, "{answer}");
}

#[tokio::test]
async fn starts_with_no_settings_that_it_does_not_understand() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("backend.yaml");
    std::fs::write(&path, "otus: {base_url: 'http://otus.example'}").unwrap();
    let ended = Process::start(&["--config", path.to_str().unwrap()]).end().await;
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    for told in ["otus.base_url: http://otus.example: ", "otus.credential: missing"] {
        assert!(ended.stderr.contains(told), "{ended:?}");
    }
}
