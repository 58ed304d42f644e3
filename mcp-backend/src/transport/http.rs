//! Streamable HTTP at `/mcp`, for the proxy in front of us and nobody else.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::serve::ListenerExt as _;
use rmcp::ServerHandler;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use tokio::net::TcpStream;
use tokio_util::either::Either;
use tokio_util::sync::CancellationToken;

use super::admit::admit;
use super::listener::Listener;
use super::sessions::{Sessions, keep_apart};
use super::sse;
use crate::api;
use crate::backend::{Backend, Entrance};
use crate::conformance::Fixtures;
use crate::offer::Offer;

/// Serves until `stop` is cancelled, then lets running calls end, for a few seconds at most.
pub async fn serve(
    listener: Listener,
    offer: Arc<Offer>,
    stop: CancellationToken,
) -> io::Result<()> {
    serve_with(listener, offer, stop, GRACE).await
}

async fn serve_with(
    listener: Listener,
    offer: Arc<Offer>,
    stop: CancellationToken,
    grace: Duration,
) -> io::Result<()> {
    let cut = CancellationToken::new();
    let app = app(offer, cut.clone());
    let stopped = stop.clone().cancelled_owned();
    let (serving, _unlinked_at_the_end) = match listener {
        Listener::Tcp(tcp) => {
            let tcp = tcp.tap_io(send_at_once);
            let app = app.into_make_service_with_connect_info::<SocketAddr>();
            let serving = axum::serve(tcp, app).with_graceful_shutdown(stopped);
            (Either::Left(serving.into_future()), None)
        }
        Listener::Unix(unix, file) => {
            let serving = axum::serve(unix, app).with_graceful_shutdown(stopped);
            (Either::Right(serving.into_future()), Some(file))
        }
    };
    tokio::select! {
        served = serving => served,
        () = lose_patience(stop, cut, grace) => Ok(()),
    }
}

/// Cutting at once would answer running calls with errors, never cutting would wait forever
/// for a stream that has no end: so both, one after the other.
async fn lose_patience(stop: CancellationToken, cut: CancellationToken, grace: Duration) {
    stop.cancelled().await;
    tokio::time::sleep(grace).await;
    cut.cancel();
    tokio::time::sleep(LAST_WORDS).await;
    tracing::warn!("leaving connections behind that did not end in time");
}

fn app(offer: Arc<Offer>, cut: CancellationToken) -> Router {
    let door = Arc::clone(&offer);
    let mcp = if let Some(shared) = offer.fixtures() {
        mcp(move || Fixtures::new(shared.clone()), cut)
    } else {
        let api = api::routes(Arc::clone(&offer), MOST_BODY_BYTES);
        mcp(move || Backend::new(Entrance::Http, Arc::clone(&offer)), cut).merge(api)
    };
    mcp.layer(from_fn_with_state(door, admit))
}

/// MCP as each era speaks it, by handlers that are made anew for each session.
fn mcp<H: ServerHandler>(
    handler: impl Fn() -> H + Clone + Send + Sync + 'static,
    cut: CancellationToken,
) -> Router {
    // Plain JSON where nothing comes before the answer. Hosts were looked at before.
    let config = StreamableHttpServerConfig::default()
        .disable_allowed_hosts()
        .with_json_response(true)
        .with_max_request_body_bytes(MOST_BODY_BYTES)
        .with_cancellation_token(cut.clone());
    let manager = Arc::new(LocalSessionManager::default());
    let sessions = Sessions::of(&manager);
    let make = handler.clone();
    let streamable = StreamableHttpService::new(move || Ok(make()), manager, config);
    Router::new()
        .route_service("/mcp", streamable)
        .layer(from_fn_with_state(sessions, keep_apart))
        .merge(sse::routes(handler, MOST_BODY_BYTES, cut))
}

fn send_at_once(connection: &mut TcpStream) {
    if let Err(error) = connection.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
}

const GRACE: Duration = Duration::from_secs(5);
/// For what was cut to say so to its client.
const LAST_WORDS: Duration = Duration::from_secs(1);
const MOST_BODY_BYTES: usize = 4 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::task::JoinHandle;

    use super::super::listener::ListenAddress;
    use super::*;

    /// Serves one client that has sent this much, and has heard the beginning of an answer.
    async fn stops(sent: &str, grace: Duration) {
        let (address, stop, serving) = start(grace).await;
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(sent.as_bytes()).await.unwrap();
        client.read_u8().await.unwrap();
        stop.cancel();
        let ended = tokio::time::timeout(Duration::from_secs(30), serving).await;
        ended.expect("it must not wait for the client").unwrap().unwrap();
    }

    async fn start(grace: Duration) -> (SocketAddr, CancellationToken, JoinHandle<io::Result<()>>) {
        let listener = Listener::bind(&"127.0.0.1:0".parse().unwrap()).await.unwrap();
        let ListenAddress::Tcp(address) = listener.address().unwrap() else { panic!() };
        let stop = CancellationToken::new();
        (address, stop.clone(), tokio::spawn(serve_with(listener, Arc::default(), stop, grace)))
    }

    #[tokio::test]
    async fn stops_at_once_although_an_idle_client_stays_connected() {
        stops("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", Duration::MAX).await;
    }

    #[tokio::test]
    async fn stops_after_a_while_although_a_client_listens_without_end() {
        let stream = "GET /mcp/sse HTTP/1.1\r\nHost: localhost\r\n\
            X-Postern-Subject: ada\r\nX-Postern-Issuer: https://id.example\r\n\r\n";
        stops(stream, Duration::ZERO).await;
    }

    #[tokio::test]
    async fn stops_after_a_while_although_a_client_never_finishes_its_request() {
        // "100 Continue" is heard when the handler waits for the body.
        let unfinished = "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\
            Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n\
            X-Postern-Subject: ada\r\nX-Postern-Issuer: https://id.example\r\n\
            Expect: 100-continue\r\n\r\n";
        stops(unfinished, Duration::ZERO).await;
    }
}
