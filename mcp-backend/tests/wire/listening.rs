//! `--listen`: where it does, where it does not, and what it leaves behind.

use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::Path;

use mcp_backend::ListenAddress;
use serde_json::json;
use tempfile::tempdir;

use crate::harness::{Connection, Post, Process, Server, call};

async fn listening(arguments: &[&str]) -> (Process, ListenAddress) {
    let mut server = Process::start(arguments);
    let line = server.line().await.unwrap();
    let address = line.strip_prefix("listening on ").unwrap().parse().unwrap();
    (server, address)
}

fn unix(path: &Path) -> String {
    format!("unix:{}", path.display())
}

#[tokio::test]
async fn announces_the_port_that_the_system_chose_and_ends_well() {
    let (server, address) = listening(&["--listen", "127.0.0.1:0"]).await;
    let reply = Connection::open(&address).await.send(Post::whoami()).await;
    assert_eq!(reply.answer()["subject"], "ada");
    server.signal("TERM").await;
    server.ends_well().await;
}

#[tokio::test]
async fn ends_well_at_sigint() {
    let (server, _) = listening(&["--listen", "127.0.0.1:0"]).await;
    server.signal("INT").await;
    server.ends_well().await;
}

/// A call that runs is let end: it goes on to tell of its progress, and has its answer.
#[tokio::test]
async fn answers_what_it_has_begun_before_it_ends_at_sigterm() {
    let (server, address) = listening(&["--conformance", "--listen", "127.0.0.1:0"]).await;
    let mut client = Connection::open(&address).await;
    let mut params = call("test_tool_with_progress", json!({}));
    params["_meta"] = json!({ "progressToken": "p" });
    client.open_stream(Post::modern("tools/call", params)).await;
    assert_eq!(client.event().await["params"]["progress"], 0.0);
    server.signal("TERM").await;
    for progress in [50.0, 100.0] {
        assert_eq!(client.event().await["params"]["progress"], progress);
    }
    assert_eq!(client.event().await["result"]["content"][0]["text"], "Done.");
    drop(client);
    server.ends_well().await;
}

#[tokio::test]
async fn logs_neither_who_calls_nor_what_they_say() {
    let (server, address) = listening(&["--listen", "127.0.0.1:0"]).await;
    let mut proxy = Connection::open(&address).await;
    let echo = Post::modern("tools/call", call("echo", json!({ "message": "confidential" })));
    proxy.send(echo.by("ada.lovelace").with("Authorization", "Bearer hidden")).await.result();
    let refused = Post::whoami().by("ada.lovelace").by("ada.lovelace").without("X-Postern-Issuer");
    assert_eq!(proxy.send(refused).await.status(), "403");
    server.signal("TERM").await;
    let log = server.ends_well().await.stderr;
    assert!(log.contains("X-Postern-Issuer is missing"), "{log}");
    for private in ["lovelace", "confidential", "hidden", "id.example"] {
        assert!(!log.contains(private), "{log}");
    }
}

#[tokio::test]
async fn refuses_to_be_reached_from_other_machines() {
    let ended = Process::start(&["--listen", "0.0.0.0:0"]).end().await;
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(ended.stdout.is_empty(), "{ended:?}");
    assert!(ended.stderr.contains("the section assertion"), "{ended:?}");
}

#[tokio::test]
async fn may_be_reached_from_other_machines_when_it_knows_whose_word_is_good() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("backend.yaml");
    let settings = "assertion: {keys: /keys.json, issuer: https://a.example, audience: b}";
    std::fs::write(&path, settings).unwrap();
    let (server, _) =
        listening(&["--listen", "0.0.0.0:0", "--config", path.to_str().unwrap()]).await;
    server.signal("TERM").await;
    server.ends_well().await;
}

#[tokio::test]
async fn lets_only_its_user_connect_to_its_socket_and_removes_it_at_the_end() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("mcp.sock");
    let (server, address) = listening(&["--listen", &unix(&path)]).await;
    assert_eq!(address, ListenAddress::Unix(path.clone()));
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(Connection::open(&address).await.send(Post::whoami()).await.status(), "200");
    server.signal("TERM").await;
    server.ends_well().await;
    assert!(!path.exists());
}

#[tokio::test]
async fn takes_the_place_of_a_server_that_died() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("mcp.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let (_server, address) = listening(&["--listen", &unix(&path)]).await;
    assert_eq!(Connection::open(&address).await.send(Post::whoami()).await.status(), "200");
}

#[tokio::test]
async fn leaves_a_living_server_its_socket() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("mcp.sock");
    let first = Server::on_unix(&path).await;
    let ended = Process::start(&["--listen", &unix(&path)]).end().await;
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert!(ended.stderr.contains("in use"), "{ended:?}");
    assert_eq!(first.send(Post::whoami()).await.status(), "200");
}

#[tokio::test]
async fn deletes_no_file_that_is_not_a_socket() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("notes.txt");
    std::fs::write(&path, "dear diary").unwrap();
    let ended = Process::start(&["--listen", &unix(&path)]).end().await;
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "dear diary");
}

#[tokio::test]
async fn leaves_a_successor_its_socket() {
    let directory = tempdir().unwrap();
    let path = directory.path().join("mcp.sock");
    let first = Server::on_unix(&path).await;
    std::fs::remove_file(&path).unwrap();
    let second = Server::on_unix(&path).await;
    first.stop().await;
    assert!(path.metadata().unwrap().file_type().is_socket());
    assert_eq!(second.send(Post::whoami()).await.status(), "200");
}
