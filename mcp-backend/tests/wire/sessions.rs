//! Sessions of 2025-11-25: two users, one id.

use serde_json::json;

use crate::harness::{Beyond, Connection, Post, Server, call, team_of};

/// Ada's session, and two connections to where it is.
async fn ada_began() -> (String, Connection, Connection, Server) {
    let server = Server::on_tcp().await;
    let (mut ada, mallory) = (server.connect().await, server.connect().await);
    (ada.begin("ada").await, ada, mallory, server)
}

#[tokio::test]
async fn a_session_is_nobodys_but_its_beginners() {
    let (id, mut ada, mut mallory, _server) = ada_began().await;
    for stolen in [
        Post::legacy_whoami(&id).by("mallory"),
        Post::legacy_whoami(&id).without("MCP-Protocol-Version").by("mallory"),
        Post::legacy_whoami(&id).without("X-Postern-Client-Id"),
        Post::legacy_whoami(&id).without("X-Postern-Issuer").with("X-Postern-Issuer", "https://b"),
        Post::legacy_whoami(&id).in_session(&id),
        Post::legacy_whoami(&id).by("mallory").by_get(),
        Post::legacy_whoami(&id).by("mallory").by_get().with("Last-Event-ID", "0"),
        Post::legacy_whoami(&id).by("mallory").by_delete(),
        Post::notification("notifications/initialized", json!({})).by("mallory").in_session(&id),
        Post::legacy_whoami("no-such-session"),
    ] {
        assert_eq!(mallory.send(stolen).await.status(), "404");
    }
    let reply = ada.send(Post::legacy_whoami(&id)).await;
    assert_eq!(reply.answer()["subject"], "ada", "it goes on");
}

#[tokio::test]
async fn an_id_means_nothing_in_2026_07_28() {
    let (id, _ada, mut mallory, _server) = ada_began().await;
    let reply = mallory.send(Post::whoami().by("mallory").in_session(&id)).await;
    assert_eq!(reply.answer()["subject"], "mallory");
}

#[tokio::test]
async fn a_session_goes_on_with_a_renewed_token_and_its_new_scopes() {
    let (id, mut ada, _mallory, _server) = ada_began().await;
    let renewed = Post::legacy_whoami(&id).without("X-Postern-Scopes");
    let reply = ada.send(renewed.with("X-Postern-Scopes", "tool:user")).await;
    assert_eq!(reply.answer()["scopes"], json!(["tool:user"]), "identity is of the request");
}

#[tokio::test]
async fn a_session_that_was_ended_is_gone() {
    let (id, mut ada, _mallory, _server) = ada_began().await;
    let end = Post::legacy_whoami(&id).by_delete();
    assert!(ada.send(end).await.status().starts_with('2'));
    assert_eq!(ada.send(Post::legacy_whoami(&id)).await.status(), "404");
}

#[tokio::test]
async fn neither_of_two_users_ever_sees_the_others_teams() {
    let beyond = Beyond::start().await;
    let server = Server::with(&format!(
        "otus: {{base_url: 'http://{0}/api', token_endpoint: 'http://{0}/token', \
         client_id: backend, client_secret_file: {{secret}}}}",
        beyond.address
    ))
    .await;
    let mut connection = server.connect().await;
    let ada = connection.begin("ada").await;
    let bob = connection.begin("bob").await;
    let teams = |modern: bool, who: &str, id: &str| {
        let params = call("otus_teams", json!({}));
        let post = if modern { Post::modern } else { Post::legacy };
        post("tools/call", params)
            .by(who)
            .in_session(id)
            .with("Authorization", &format!("Bearer {who}"))
    };
    for _ in 0..2 {
        for (who, own, others) in [("ada", &ada, &bob), ("bob", &bob, &ada)] {
            let expected = json!({ "teams": team_of(&format!("for-{who}")) });
            assert_eq!(connection.send(teams(false, who, own)).await.answer(), expected);
            assert_eq!(connection.send(teams(false, who, others)).await.status(), "404");
            assert_eq!(connection.send(teams(true, who, others)).await.answer(), expected);
        }
    }
}
