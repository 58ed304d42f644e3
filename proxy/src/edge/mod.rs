//! Our own accept loop around pingora's HTTP machinery: it knows connections, not requests.
//!
//! pingora's own server sleeps through its grace period and then cuts what is left; this one drains
//! as fast as the last request ends, bounds handshakes and heads in total rather than per read, and
//! runs on any port, any number of times in one process.

mod connection;
pub(crate) mod descriptors;
mod gather;
mod guard;
mod handshake;
pub mod introduction;
mod pulse;
mod refusal;
pub(crate) mod tls;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::time::Duration;

use pingora_core::apps::ServerApp;
use pingora_core::protocols::l4::stream::Stream;
use pingora_core::protocols::{ALPN, GetSocketDigest as _, IO, SocketDigest, Ssl as _};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout};

use crate::config::{ClientFrom, Limits, TrustedProxies};
use crate::record::Traffic;
use connection::Opened;
pub(crate) use connection::{Body, Caller, Connection};
use guard::Guarded;
use handshake::Failed;
use tls::Terms;

/// How clients come in.
pub(crate) struct Entrance {
    pub(crate) tls: Option<Arc<Terms>>,
    pub(crate) proxies: TrustedProxies,
    pub(crate) limits: Limits,
    pub(crate) traffic: Traffic,
}

/// A listener at work.
pub(crate) struct Edge {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    /// One task; tells of its end as often as it is asked.
    accepting: JoinSet<JoinSet<()>>,
    cleanup: JoinHandle<()>,
}

impl Edge {
    /// Serves `app` on `listener` until [`Edge::close`].
    pub(crate) fn start<A: ServerApp + Send + Sync + 'static>(
        listener: TcpListener,
        entrance: Entrance,
        app: Arc<A>,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let (stop, stopped) = watch::channel(false);
        let door = Arc::new(Door { app: Arc::clone(&app), entrance, stopped: stopped.clone() });
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, door));
        let cleanup = tokio::spawn(wind_down(stopped, app));
        Ok(Self { address, stop, accepting, cleanup })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends when nobody accepts connections any more, though nobody has said so.
    pub(crate) async fn broken(&mut self) {
        drop(self.accepting.join_next().await);
    }

    /// Stops accepting, and tells those who are here to go when they are done.
    pub(crate) async fn close(mut self) -> Guests {
        self.stop.send_replace(true);
        // A loop that has broken leaves nobody.
        let ended = self.accepting.join_next().await;
        let connections = ended.and_then(Result::ok).unwrap_or_default();
        Guests { connections, cleanup: self.cleanup }
    }

    /// The same, and waits until they have gone; cuts at the end what is left. Tells how many that were.
    pub(crate) async fn drain(self, longest: Duration) -> usize {
        let mut guests = self.close().await;
        drop(timeout(longest, guests.gone()).await);
        guests.cut().await
    }
}

/// The connections that are left after an [`Edge`] is closed.
pub(crate) struct Guests {
    connections: JoinSet<()>,
    cleanup: JoinHandle<()>,
}

impl Guests {
    /// Ends when all have gone by themselves.
    pub(crate) async fn gone(&mut self) {
        while self.connections.join_next().await.is_some() {}
    }

    /// Ends what is left, in the middle of whatever it is. Tells how many those were.
    pub(crate) async fn cut(mut self) -> usize {
        let cut = self.connections.len();
        self.cleanup.abort();
        self.connections.shutdown().await;
        cut
    }
}

/// Tells the application to close connections that wait for a next request. Not at once: a request that
/// is on its way by now is answered still, and told to come back on another connection.
async fn wind_down<A: ServerApp + Send + Sync + 'static>(
    stopped: watch::Receiver<bool>,
    app: Arc<A>,
) {
    told_to_stop(stopped).await;
    sleep(GOODBYE).await;
    app.cleanup().await;
}

/// Everything that one connection needs.
struct Door<A> {
    app: Arc<A>,
    entrance: Entrance,
    stopped: watch::Receiver<bool>,
}

/// Returns the connections that are still open when told to stop; the listener is closed by then.
async fn accept<A: ServerApp + Send + Sync + 'static>(
    listener: tokio::net::TcpListener,
    door: Arc<Door<A>>,
) -> JoinSet<()> {
    let mut connections = JoinSet::new();
    let mut stopped = door.stopped.clone();
    loop {
        tokio::select! {
            _ = stopped.changed() => {
                take_the_rest(listener, &door, &mut connections);
                return connections;
            }
            Some(_) = connections.join_next() => door.count(&connections),
            accepted = listener.accept() => match accepted {
                Ok((tcp, peer)) => take(tcp, peer, &door, &mut connections),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept connections");
                    // Out of file descriptors, say: trying again at once would only burn time.
                    sleep(BREATH).await;
                }
            },
        }
    }
}

fn take<A: ServerApp + Send + Sync + 'static>(
    tcp: TcpStream,
    peer: SocketAddr,
    door: &Arc<Door<A>>,
    connections: &mut JoinSet<()>,
) {
    if connections.len() < door.entrance.limits.connections {
        connections.spawn(serve(Arc::clone(door), tcp, peer));
        door.count(connections);
    } else {
        door.entrance.traffic.refused.inc();
    }
}

/// Those who wait to be accepted are connected as far as they know, and would be reset when the listener
/// closes.
fn take_the_rest<A: ServerApp + Send + Sync + 'static>(
    listener: tokio::net::TcpListener,
    door: &Arc<Door<A>>,
    connections: &mut JoinSet<()>,
) {
    let Ok(listener) = listener.into_std() else { return };
    for _ in 0..MOST_WAITING {
        let Ok((tcp, peer)) = listener.accept() else { return };
        if let Ok(tcp) = tcp.set_nonblocking(true).and_then(|()| TcpStream::from_std(tcp)) {
            take(tcp, peer, door, connections);
        }
    }
}

async fn serve<A: ServerApp + Send + Sync + 'static>(
    door: Arc<Door<A>>,
    tcp: TcpStream,
    peer: SocketAddr,
) {
    let start = Instant::now();
    let kept_alive = SockRef::from(&tcp).set_tcp_keepalive(&KEEPALIVE);
    if let Err(error) = kept_alive.and_then(|()| tcp.set_nodelay(true)) {
        return tracing::debug!(%error, "connection lost at once");
    }
    // In a box of its own: what a handshake needs is large, and a stream may stand for hours after it.
    let greeting = Box::pin(door.greet(tcp, peer, start));
    let handshake = timeout(door.entrance.limits.handshake_timeout, greeting);
    let stop = left_over(door.stopped.clone());
    match tokio::select! { done = handshake => done, () = stop => return } {
        Ok(Ok(greeted)) => door.hand_over(greeted).await,
        Ok(Err(why)) => door.turn_away(peer, &why),
        Err(_late) => door.turn_away(peer, &Failed::TooSlow),
    }
}

/// A connection on which requests may come.
struct Greeted {
    stream: Box<dyn IO>,
    connection: Arc<Connection>,
}

async fn told_to_stop(mut stopped: watch::Receiver<bool>) {
    // An error means that the edge is gone: the same thing.
    drop(stopped.wait_for(|stopped| *stopped).await);
}

/// Ends when the edge was told to stop, and whoever was about to say something had the time to.
async fn left_over(stopped: watch::Receiver<bool>) {
    told_to_stop(stopped).await;
    sleep(GOODBYE * 2).await;
}

/// Ends once the edge is told to stop and nothing is served on the connection. pingora closes idle
/// ones by itself; this is for clients that do not answer its goodbye. What was just said may still be on
/// its way, so that nothing must have happened for a while.
async fn is_left_over(connection: &Connection, stopped: watch::Receiver<bool>) {
    told_to_stop(stopped).await;
    let mut before = None;
    loop {
        sleep(GOODBYE).await;
        let now = connection.served_and_rests();
        if now.is_some() && now == before {
            return;
        }
        before = now;
    }
}

impl<A: ServerApp + Send + Sync + 'static> Door<A> {
    /// All that comes before the first request. Everything that a client says here is bounded in
    /// size, and by our caller in time.
    async fn greet(
        &self,
        mut tcp: TcpStream,
        peer: SocketAddr,
        start: Instant,
    ) -> Result<Greeted, Failed> {
        let proxies = &self.entrance.proxies;
        let mut caller = Caller { peer: peer.ip().to_canonical(), introduced: None };
        if proxies.client_from == ClientFrom::ProxyProtocol && proxies.trusts(caller.peer) {
            let read = introduction::read(&mut tcp).await;
            caller.introduced = read.map_err(Failed::NotIntroduced)?;
        }
        let mut stream = Stream::from(tcp);
        let digest = SocketDigest::from_raw_fd(stream.as_raw_fd());
        // Fails only if it was set before, and it is a second old.
        drop(digest.peer_addr.set(Some(peer.into())));
        stream.set_socket_digest(digest);
        let opened = Opened {
            start,
            is_h2: false,
            certificate: None,
            server_name: None,
            caller,
            stopped: self.stopped.clone(),
        };
        let Some(tls) = &self.entrance.tls else { return Ok(self.guard(stream, opened)) };
        let stream = tls.accept(stream).await.map_err(Failed::Tls)?;
        let certificate = stream.certificate();
        let server_name = stream.server_name().map(Box::from);
        let is_h2 = matches!(stream.selected_alpn_proto(), Some(ALPN::H2));
        Ok(self.guard(stream, Opened { is_h2, certificate, server_name, ..opened }))
    }

    fn guard<S: guard::Transport>(&self, stream: S, opened: Opened) -> Greeted {
        let connection = Arc::new(Connection::new(opened, &self.entrance.limits));
        let traffic = self.entrance.traffic.clone();
        let stream = Box::new(Guarded::new(stream, Arc::clone(&connection), traffic));
        Greeted { stream, connection }
    }

    async fn hand_over(&self, Greeted { stream, connection }: Greeted) {
        tokio::select! {
            // Handed back only by protocols that are not spoken here.
            _none = self.app.process_new(stream, &self.stopped) => (),
            () = is_left_over(&connection, self.stopped.clone()) => (),
        }
    }

    fn turn_away(&self, peer: SocketAddr, why: &Failed) {
        let reason = why.reason();
        self.entrance.traffic.failed_handshakes.with_label_values(&[reason]).inc();
        let peer = peer.ip().to_canonical();
        if why.is_of_note() {
            tracing::info!(reason, %peer, %why, "handshake failed");
        } else {
            tracing::debug!(reason, %peer, %why, "handshake failed");
        }
    }

    fn count(&self, connections: &JoinSet<()>) {
        self.entrance.traffic.open.set(i64::try_from(connections.len()).unwrap_or(i64::MAX));
    }
}

const BREATH: Duration = Duration::from_millis(50);
const GOODBYE: Duration = Duration::from_secs(1);
/// More than any backlog, and no flood.
const MOST_WAITING: usize = 4096;

/// A client that vanishes without a word is noticed within two minutes, even on a silent stream.
const KEEPALIVE: TcpKeepalive = TcpKeepalive::new().with_time(Duration::from_mins(1));

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_loop_that_breaks_is_noticed_and_does_not_hold_up_the_end() {
        let (stop, _stopped) = watch::channel(false);
        let mut accepting = JoinSet::new();
        accepting.spawn(async { panic!("as planned") });
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let cleanup = tokio::spawn(async {});
        let mut edge = Edge { address, stop, accepting, cleanup };
        edge.broken().await;
        assert_eq!(edge.close().await.cut().await, 0);
    }

    #[tokio::test]
    async fn a_loop_that_goes_on_is_fine() {
        let (stop, mut stopped) = watch::channel(false);
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            drop(stopped.changed().await);
            JoinSet::new()
        });
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let cleanup = tokio::spawn(async {});
        let mut edge = Edge { address, stop, accepting, cleanup };
        assert!(timeout(Duration::from_millis(20), edge.broken()).await.is_err());
        assert_eq!(edge.close().await.cut().await, 0);
    }
}
