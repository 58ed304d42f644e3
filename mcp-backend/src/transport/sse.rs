//! HTTP+SSE of 2024-11-05, for clients that know nothing newer: what they hear is one stream, at
//! `/mcp/sse`, and what they say goes to the address that it begins with.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Query, Request};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use rmcp::model::{ClientJsonRpcMessage, GetExtensions as _};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use rmcp::{RoleServer, ServerHandler, ServiceExt as _};
use serde::Deserialize;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::sessions::{MOST, Owner};
use crate::caller::Identity;

/// The two endpoints, for a handler that is made anew for each conversation.
pub(super) fn routes<H: ServerHandler>(
    handler: impl Fn() -> H + Clone + Send + Sync + 'static,
    most_bytes: usize,
    cut: CancellationToken,
) -> Router {
    let open = Conversations(
        Cache::builder().max_capacity(MOST).eviction_policy(EvictionPolicy::lru()).build(),
    );
    let heard = open.clone();
    let begin = move |request: Request| async move { begin(&open, handler(), &request, &cut) };
    let hear = move |query, parts, body| async move { hear(&heard, query, parts, body).await };
    Router::new()
        .route("/mcp/sse", get(begin))
        .route("/mcp/messages", post(hear))
        .layer(DefaultBodyLimit::max(most_bytes))
}

/// Those that are open, by their ids.
#[derive(Clone, Debug)]
struct Conversations(Cache<Box<str>, Conversation>);

#[derive(Clone, Debug)]
struct Conversation {
    owner: Owner,
    said: Sender<ClientJsonRpcMessage>,
}

fn begin(
    Conversations(open): &Conversations,
    handler: impl ServerHandler,
    request: &Request,
    cut: &CancellationToken,
) -> Response {
    let Some(owner) = request.extensions().get::<Identity>().map(Owner::from) else {
        return StatusCode::FORBIDDEN.into_response();
    };
    let id: Box<str> = uuid::Uuid::new_v4().to_string().into();
    let (said, hears) = channel(WAITING);
    let (says, answers) = channel(WAITING);
    open.insert(id.clone(), Conversation { owner, said });
    let stop = cut.child_token();
    tokio::spawn(converse(handler, Ends { hears, says }, stop.clone()));
    // Below the address of this stream, wherever a proxy has put that.
    let endpoint = Event::default().event("endpoint").data(format!("messages?session_id={id}"));
    let answers = ReceiverStream::new(answers).filter_map(|message| event(&message));
    let stream = tokio_stream::once(Ok(endpoint)).chain(answers);
    let whole = Hanging { stream, _end: (stop.drop_guard(), Ended(open.clone(), id)) };
    Sse::new(whole).keep_alive(KeepAlive::new().interval(SILENCE)).into_response()
}

async fn converse(handler: impl ServerHandler, ends: Ends, stop: CancellationToken) {
    if let Ok(running) = handler.serve_with_ct(ends, stop).await {
        drop(running.waiting().await);
    } else {
        tracing::info!("a client of HTTP+SSE left before the conversation began");
    }
}

fn event(message: &TxJsonRpcMessage<RoleServer>) -> Option<Result<Event, Infallible>> {
    let text = serde_json::to_string(message).ok()?;
    Some(Ok(Event::default().event("message").data(text)))
}

#[derive(Debug, Deserialize)]
struct Named {
    session_id: Box<str>,
}

async fn hear(
    Conversations(open): &Conversations,
    Query(Named { session_id }): Query<Named>,
    parts: Parts,
    body: Bytes,
) -> Response {
    let owner = parts.extensions.get::<Identity>().map(Owner::from);
    // Another's does not exist.
    let found = open.get(&session_id).filter(|found| Some(&found.owner) == owner.as_ref());
    let Some(Conversation { said, .. }) = found else {
        return (StatusCode::NOT_FOUND, "no such session").into_response();
    };
    let json = parts.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if !json.is_some_and(|kind| kind.starts_with("application/json")) {
        return StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response();
    }
    let Ok(mut message) = serde_json::from_slice::<ClientJsonRpcMessage>(&body) else {
        return (StatusCode::BAD_REQUEST, "not a message of MCP").into_response();
    };
    // Whoever says this is who is asked for, not who opened the stream.
    match &mut message {
        ClientJsonRpcMessage::Request(one) => drop(one.request.extensions_mut().insert(parts)),
        ClientJsonRpcMessage::Notification(one) => {
            drop(one.notification.extensions_mut().insert(parts));
        }
        ClientJsonRpcMessage::Response(_) | ClientJsonRpcMessage::Error(_) => {}
    }
    match said.send_timeout(message, PATIENCE).await {
        Ok(()) => (StatusCode::ACCEPTED, "Accepted").into_response(),
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

/// The server's end of a conversation.
struct Ends {
    hears: Receiver<ClientJsonRpcMessage>,
    says: Sender<TxJsonRpcMessage<RoleServer>>,
}

impl Transport<RoleServer> for Ends {
    type Error = io::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), io::Error>> + Send + 'static {
        let says = self.says.clone();
        async move { says.send(message).await.map_err(|_| io::ErrorKind::BrokenPipe.into()) }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        self.hears.recv().await
    }

    async fn close(&mut self) -> Result<(), io::Error> {
        self.hears.close();
        Ok(())
    }
}

/// A stream that takes its conversation along when it ends, however that is.
struct Hanging<S> {
    stream: S,
    _end: (DropGuard, Ended),
}

impl<S: Stream + Unpin> Stream for Hanging<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<S::Item>> {
        Pin::new(&mut self.stream).poll_next(context)
    }
}

struct Ended(Cache<Box<str>, Conversation>, Box<str>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.invalidate(&self.1);
    }
}

/// Messages on their way, each direction.
const WAITING: usize = 16;
const PATIENCE: Duration = Duration::from_secs(10);
/// As rmcp's own streams have it.
const SILENCE: Duration = Duration::from_secs(15);
