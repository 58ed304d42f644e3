//! The official Rust client.

use reqwest::{Certificate as Root, Client as Http};
use rmcp::ClientHandler;
use rmcp::model::{CallToolRequestParams, ProtocolVersion};
use rmcp::service::{
    ClientInitializeError, ClientLifecycleMode, ClientServiceExt as _, RoleClient, RunningService,
};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::auth::{AuthClient, AuthorizationRequest, OAuthState};
use rmcp::transport::streamable_http_client::{
    StreamableHttpClient, StreamableHttpClientTransportConfig, StreamableHttpError,
};
use serde_json::json;

use super::{Stage, TOOLS, counterpart};
use crate::harness::World;

type Session = RunningService<RoleClient, ()>;

/// What the client is made of.
pub(super) struct Client {
    url: String,
    pub(super) http: Http,
}

impl Client {
    /// It trusts the stage's authority and no other.
    pub(super) fn of(stage: &Stage) -> Self {
        // Another test may have been first.
        drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
        let root = std::fs::read(&stage.ground.certificate.authority).unwrap();
        let root = Root::from_pem(&root).unwrap();
        // A login takes as long as it takes, and no server keeps a connection for it.
        let http = Http::builder().tls_certs_only([root]).no_proxy().pool_max_idle_per_host(0);
        let http = http.build().unwrap();
        Self { url: stage.ground.resource(), http }
    }

    /// From nothing, or from the challenge of a refused request, to tokens.
    async fn authorize(&self, challenge: Option<String>) -> AuthClient<Http> {
        let mut state = OAuthState::new(&self.url, Some(self.http.clone())).await.unwrap();
        let mut request = AuthorizationRequest::new(CALLBACK)
            .with_client_name("postern e2e (rust)")
            .with_application_type("native");
        request.challenge = challenge;
        state.start_authorization(request).await.unwrap();
        let login = state.get_authorization_url().await.unwrap();
        state.handle_callback_url(&sign_in(&login)).await.unwrap();
        AuthClient::new(self.http.clone(), state.into_authorization_manager().unwrap())
    }

    async fn connect<C: StreamableHttpClient + Sync>(
        &self,
        client: C,
        mode: ClientLifecycleMode,
    ) -> Result<Session, ClientInitializeError> {
        let config = StreamableHttpClientTransportConfig::with_uri(self.url.as_str());
        let transport = StreamableHttpClientTransport::with_client(client, config);
        ().serve_with_lifecycle(transport, mode).await
    }

    /// What it is told when it comes without a token.
    async fn refused(&self, mode: ClientLifecycleMode) -> String {
        let refused = self.connect(self.http.clone(), mode).await.unwrap_err();
        if let ClientInitializeError::TransportError { error, .. } = &refused
            && let Some(error) = error.error.downcast_ref::<StreamableHttpError<reqwest::Error>>()
            && let Some(challenge) = error.auth_challenge()
        {
            return challenge.to_owned();
        }
        panic!("it took the refusal for something else: {refused:?}")
    }
}

/// Where a person's browser ends.
fn sign_in(url: &str) -> String {
    let mut browser = counterpart("python", "login.py");
    // No compiled modules among the sources.
    let output = browser.arg(url).env("PYTHONDONTWRITEBYTECODE", "1").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

pub(super) fn modern() -> ClientLifecycleMode {
    ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] }
}

fn either() -> ClientLifecycleMode {
    ClientLifecycleMode::Auto {
        preferred_versions: vec![ProtocolVersion::V_2026_07_28],
        legacy_version: None,
    }
}

async fn completes(stage: &Stage, session: &Session, version: &str) {
    assert_eq!(version_of(session), version);
    let mut tools: Vec<_> = session.list_all_tools().await.unwrap();
    tools.sort_by(|one, other| one.name.cmp(&other.name));
    assert_eq!(tools.iter().map(|tool| &*tool.name).collect::<Vec<_>>(), TOOLS);
    let whoami = session.call_tool(CallToolRequestParams::new("whoami")).await.unwrap();
    let whoami = whoami.structured_content.unwrap();
    assert_eq!(
        (&whoami["subject"], &whoami["issuer"]),
        (&json!("alice"), &json!(stage.provider.issuer))
    );
    let message = json!({ "message": "hello" });
    let call =
        CallToolRequestParams::new("echo").with_arguments(message.as_object().unwrap().clone());
    let echo = session.call_tool(call).await.unwrap().structured_content.unwrap();
    assert_eq!(echo["echo"], message["message"]);
}

pub(super) fn version_of<H: ClientHandler>(session: &RunningService<RoleClient, H>) -> String {
    session.peer_info().unwrap().protocol_version.to_string()
}

/// It asks `GET /mcp` for the way.
#[tokio::test]
async fn the_rust_client_completes_in_the_modern_era() {
    let stage = Stage::set();
    let client = Client::of(&stage);
    let authorized = client.authorize(None).await;
    let session = client.connect(authorized, modern()).await.unwrap();
    completes(&stage, &session, "2026-07-28").await;
}

/// It goes by the challenge of its first request.
#[tokio::test]
async fn the_rust_client_completes_in_the_legacy_era() {
    let stage = Stage::set();
    let client = Client::of(&stage);
    let challenge = client.refused(ClientLifecycleMode::Initialize).await;
    let authorized = client.authorize(Some(challenge)).await;
    let session = client.connect(authorized, ClientLifecycleMode::Initialize).await.unwrap();
    completes(&stage, &session, "2025-11-25").await;
}

/// A refusal says nothing of what the server speaks, and it is not to be taken as if it did.
#[tokio::test]
async fn the_rust_client_reads_a_refusal_as_one_in_every_mode() {
    let stage = Stage::set();
    let client = Client::of(&stage);
    let plain = World::PLAIN_CHALLENGE.replace("mcp.example", &stage.ground.gateway.to_string());
    for mode in [ClientLifecycleMode::Initialize, modern(), either()] {
        assert_eq!(client.refused(mode).await, plain);
    }
    let session = client.connect(client.authorize(None).await, either()).await.unwrap();
    assert_eq!(version_of(&session), "2026-07-28");
}

/// Nothing listens there: the browser stops when it is sent to this address.
const CALLBACK: &str = "http://127.0.0.1/callback";
