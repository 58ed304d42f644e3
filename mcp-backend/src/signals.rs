//! When to stop.

use std::io;

use tokio::io::{copy, sink, stdin};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A token cancelled by the first SIGTERM or SIGINT. Until this is called either one kills.
pub(crate) fn stop_on_signal() -> io::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = CancellationToken::new();
    let heard = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        heard.cancel();
    });
    Ok(stop)
}

/// Cancels `stop` when stdin ends: a parent that dies, however it dies, takes its pipes along.
pub(crate) async fn stop_with_stdin(stop: CancellationToken) {
    // An error ends stdin just as well.
    drop(copy(&mut stdin(), &mut sink()).await);
    stop.cancel();
}
