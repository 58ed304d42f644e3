//! The process that takes our place: the same command, of whatever binary is there by now.

use std::env;
use std::future::pending;
use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::net::UnixDatagram;
use std::process::{self, ExitStatus};
use std::time::Duration;

use command_fds::{CommandFdExt as _, FdMapping};
use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::sleep;

use super::{RELIEVED, succeeded_by};
use crate::record::UpgradeCounts;

/// How we are told to let another process take our place.
pub(crate) struct Succession {
    asked: Signal,
}

impl Succession {
    /// From now on the signal does not end the process.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { asked: signal(SignalKind::user_defined2())? })
    }

    /// Ends when a successor serves at these sockets. What keeps one from that is told of, and changes
    /// nothing here.
    pub(crate) async fn done(mut self, sockets: &[OwnedFd], counts: UpgradeCounts) {
        loop {
            if self.asked.recv().await.is_none() {
                return pending().await;
            }
            tracing::info!("starting a successor");
            match succeed(sockets).await {
                Ok(process) => {
                    succeeded_by(process);
                    return tracing::info!(process, "a successor serves");
                }
                Err(why) => {
                    counts.failed();
                    tracing::error!(%why, "no successor: this process goes on");
                }
            }
        }
    }
}

/// Starts one, and waits until it serves.
async fn succeed(sockets: &[OwnedFd]) -> Result<u32, Childless> {
    if process::id() == 1 {
        return Err(Childless::First);
    }
    let (ours, theirs) = UnixDatagram::pair()?;
    ours.set_nonblocking(true)?;
    let line = tokio::net::UnixDatagram::from_std(ours)?;
    let mut trial = Trial(Some(start(sockets, theirs)?));
    let Some(child) = &mut trial.0 else { return Err(Childless::Late) };
    let process = child.id().unwrap_or_default();
    let mut word = [0; RELIEVED.len()];
    tokio::select! {
        heard = line.recv(&mut word) => drop(heard?),
        ended = child.wait() => return Err(Childless::Ended(ended?)),
        () = sleep(PATIENCE) => return Err(Childless::Late),
    }
    trial.0 = None;
    Ok(process)
}

fn start(sockets: &[OwnedFd], line: UnixDatagram) -> io::Result<Child> {
    let mut arguments = env::args_os();
    // By its name, as it was given to us: what it leads to may be another binary by now.
    let name = arguments.next().ok_or(io::ErrorKind::NotFound)?;
    let mut command = process::Command::new(name);
    command.args(arguments).env_remove("LISTEN_PID").env_remove("LISTEN_FDNAMES");
    let mut given = sockets.iter().map(OwnedFd::try_clone).collect::<io::Result<Vec<_>>>()?;
    given.push(line.into());
    command.env("LISTEN_FDS", given.len().to_string());
    let mappings = given.into_iter().zip(FIRST..);
    let mappings = mappings.map(|(parent_fd, child_fd)| FdMapping { parent_fd, child_fd });
    command.fd_mappings(mappings.collect()).map_err(io::Error::other)?;
    Command::from(command).spawn()
}

/// A process that is ended unless it has served.
struct Trial(Option<Child>);

impl Drop for Trial {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            // It may have ended by itself.
            drop(child.start_kill());
        }
    }
}

/// Why nobody takes our place.
#[derive(Debug, thiserror::Error)]
enum Childless {
    #[error(
        "this is the first process of a container, which would end with it: replace the container"
    )]
    First,
    #[error("it cannot be started: {0}")]
    Io(#[from] io::Error),
    #[error("it ended ({0}) before it could serve; what it said stands before this line")]
    Ended(ExitStatus),
    #[error("it could not serve within {PATIENCE:?}")]
    Late,
}

/// More than a successor waits for keys, after which it gives up and says why.
const PATIENCE: Duration = Duration::from_secs(45);
/// `sd_listen_fds(3)`
const FIRST: RawFd = 3;
