//! The official Rust client, in this process.

use std::process::Stdio;
use std::sync::Arc;

use rmcp::model::{
    CallToolRequest, CallToolRequestParams, ClientCapabilities, ClientConfig, ClientRequest,
    ElicitRequestParams, ElicitResult, GetPromptRequestParams, ProgressNotificationParam,
    ReadResourceRequestParams,
};
use rmcp::service::{
    ClientLifecycleMode, ClientServiceExt as _, NotificationContext, PeerRequestOptions,
    RequestContext, RequestHandle, RoleClient, RunningService,
};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{ClientHandler, ErrorData};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::process::{Child, Command};
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

use super::super::rust::{Client, modern, version_of};
use super::super::{Ground, PATIENCE, Stage, TOOLS, otus};
use super::{has_seen_everything, with_teams};
use crate::harness::{Upstream, backend};

type Session = RunningService<RoleClient, Ear>;

/// How much is done, and of how much.
type Told = (f64, Option<f64>);

/// What a server tells and asks in the middle of a call. Asked, it never answers.
struct Ear {
    told: UnboundedSender<Told>,
    asked: Arc<Notify>,
}

impl ClientHandler for Ear {
    fn get_info(&self) -> ClientConfig {
        let mut about = ClientConfig::default();
        about.capabilities = ClientCapabilities::builder().enable_elicitation().build();
        about
    }

    async fn create_elicitation(
        &self,
        _: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        self.asked.notify_one();
        std::future::pending().await
    }

    async fn on_progress(
        &self,
        progress: ProgressNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        self.told.send((progress.progress, progress.total)).unwrap_or_default();
    }
}

/// A conversation, and what came of it beside the answers.
struct Talk {
    session: Session,
    progress: UnboundedReceiver<Told>,
    asked: Arc<Notify>,
    _child: Option<Child>,
}

impl Talk {
    async fn on_stdio(options: &[&str], mode: ClientLifecycleMode) -> Self {
        let mut child = Command::new(backend().get_program())
            .args(["--log", "error"])
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let ends = (child.stdout.take().unwrap(), child.stdin.take().unwrap());
        let (ear, progress, asked) = ear();
        let session = ear.serve_with_lifecycle(ends, mode).await.unwrap();
        Self { session, progress, asked, _child: Some(child) }
    }

    async fn through_the_gateway(stage: &Stage, mode: ClientLifecycleMode) -> Self {
        let config = StreamableHttpClientTransportConfig::with_uri(stage.ground.resource());
        let config = config.auth_header(stage.provider.token());
        let transport = StreamableHttpClientTransport::with_client(Client::of(stage).http, config);
        let (ear, progress, asked) = ear();
        let session = ear.serve_with_lifecycle(transport, mode).await.unwrap();
        Self { session, progress, asked, _child: None }
    }

    async fn sees_everything(&self, version: &str, tools: &[&str]) {
        let Self { session, .. } = self;
        assert_eq!(version_of(session), version);
        let listed = session.list_all_tools().await.unwrap();
        let mut names: Vec<&str> = listed.iter().map(|tool| &*tool.name).collect();
        names.sort_unstable();
        let call = |tool: &'static str, arguments: Value| {
            let arguments = arguments.as_object().unwrap().clone();
            session.call_tool(CallToolRequestParams::new(tool).with_arguments(arguments))
        };
        let echo = json(call("echo", json!({ "message": "hello" })).await.unwrap());
        let impossible = json!({ "operation": "sqrt", "operands": [-1] });
        let refused = json(call("calculate", impossible).await.unwrap());
        let info = ReadResourceRequestParams::new("mcp://server/info");
        let info = json(session.read_resource(info).await.unwrap());
        let info: Value =
            serde_json::from_str(info["contents"][0]["text"].as_str().unwrap()).unwrap();
        let about = json!({ "tool_name": "echo" }).as_object().unwrap().clone();
        let guide = GetPromptRequestParams::new("tool_usage_guide").with_arguments(about);
        let guide = json(session.get_prompt(guide).await.unwrap());
        let told = json!({
            "tools": names, "echo": echo["structuredContent"]["echo"], "info": info["name"],
            "refused": refused["isError"], "guide": guide["messages"][0]["content"]["text"],
        });
        has_seen_everything(&told, tools);
    }

    /// Each may be taken up by a task of its own, so that their order says nothing.
    async fn is_told_of_progress(&mut self, tool: &'static str, expected: &[(f64, f64)]) {
        let answer = self.session.call_tool(CallToolRequestParams::new(tool)).await.unwrap();
        assert_ne!(answer.is_error, Some(true), "{answer:?}");
        let mut told = Vec::new();
        while told.len() < expected.len() {
            let (done, total) = timeout(PATIENCE, self.progress.recv()).await.unwrap().unwrap();
            told.push((done, total.unwrap()));
        }
        told.sort_by(|one, other| one.0.total_cmp(&other.0));
        assert_eq!(told, expected);
    }

    async fn begin(&self, tool: &'static str) -> RequestHandle<RoleClient> {
        let call = CallToolRequest::new(CallToolRequestParams::new(tool));
        let call = ClientRequest::CallToolRequest(call);
        let options = PeerRequestOptions::no_options();
        self.session.send_cancellable_request(call, options).await.unwrap()
    }

    async fn goes_on(&self) {
        assert!(!self.session.list_all_tools().await.unwrap().is_empty());
    }
}

fn ear() -> (Ear, UnboundedReceiver<Told>, Arc<Notify>) {
    let (told, progress) = unbounded_channel();
    let asked = Arc::new(Notify::new());
    (Ear { told, asked: Arc::clone(&asked) }, progress, asked)
}

fn json(answer: impl Serialize) -> Value {
    serde_json::to_value(answer).unwrap()
}

fn eras() -> [(ClientLifecycleMode, &'static str); 2] {
    [(ClientLifecycleMode::Initialize, "2025-11-25"), (modern(), "2026-07-28")]
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rust_client_sees_everything_on_stdio() {
    for (mode, version) in eras() {
        let talk = Talk::on_stdio(&[], mode.clone()).await;
        talk.sees_everything(version, &TOOLS).await;
        let mut talk = Talk::on_stdio(&["--conformance"], mode).await;
        let steps = [(0.0, 100.0), (50.0, 100.0), (100.0, 100.0)];
        talk.is_told_of_progress("test_tool_with_progress", &steps).await;
    }
    let talk = Talk::on_stdio(&["--conformance"], ClientLifecycleMode::Initialize).await;
    let call = talk.begin("test_elicitation").await;
    timeout(PATIENCE, talk.asked.notified()).await.unwrap();
    call.cancel(None).await.unwrap();
    talk.goes_on().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rust_client_sees_everything_through_the_gateway() {
    let upstream = Upstream::start();
    let stage = otus::stage(Ground::new(), &upstream);
    for (mode, version) in eras() {
        let mut talk = Talk::through_the_gateway(&stage, mode).await;
        talk.sees_everything(version, &with_teams()).await;
        talk.is_told_of_progress("otus_teams", &[(0.0, 1.0), (1.0, 1.0)]).await;
        upstream.next();
        upstream.keep_silent(true);
        let call = talk.begin("otus_teams").await;
        upstream.next();
        call.cancel(None).await.unwrap();
        assert!(upstream.was_abandoned_within(PATIENCE), "Otus is still being asked");
        upstream.keep_silent(false);
        talk.goes_on().await;
    }
}
