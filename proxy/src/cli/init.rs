//! What falls to the first process of a container: it is given the children that others leave behind.

use std::io;
use std::process;

use rustix::process::{WaitOptions, waitpid};
use tokio::signal::unix::{SignalKind, signal};

/// Has them leave for good when they end. Without that each would keep its place in the table of processes.
pub(super) fn reap() -> io::Result<()> {
    // Anywhere else somebody else does it, and our own children are waited for by whoever starts them.
    if process::id() != 1 {
        return Ok(());
    }
    let mut ended = signal(SignalKind::child())?;
    tokio::spawn(async move {
        while ended.recv().await.is_some() {
            // One signal may stand for several.
            while let Ok(Some(_)) = waitpid(None, WaitOptions::NOHANG) {}
        }
    });
    Ok(())
}
