//! The MCP server behind the gateway: a child process on a unix socket.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// A running backend. Dropping it kills it.
pub(super) struct Backend {
    child: Child,
    address: String,
    #[expect(dead_code, reason = "held open: it ends when this process does, however it ends")]
    leash: Option<ChildStdin>,
}

#[derive(Debug, Error)]
pub(crate) enum BackendFailed {
    #[error("there is no {0}: build it with `cargo build -p mcp-backend`, or use `make run`")]
    Missing(PathBuf),
    #[error("cannot start mcp-backend: {0}")]
    Start(#[from] io::Error),
    #[error("mcp-backend ended before it listened: {0}")]
    Ended(ExitStatus),
    #[error("mcp-backend did not listen within {} seconds", PATIENCE.as_secs())]
    Late,
}

impl Backend {
    /// Starts the `mcp-backend` that lies beside this program, its socket in `directory`.
    pub(super) async fn start(directory: &Path) -> Result<Self, BackendFailed> {
        let program = std::env::current_exe()?.with_file_name("mcp-backend");
        let address = format!("unix:{}", directory.join("backend.sock").display());
        let mut command = Command::new(program);
        command.args(["--listen", &address, "--until-stdin-ends"]);
        Self::launch(command, address).await
    }

    async fn launch(mut command: Command, address: String) -> Result<Self, BackendFailed> {
        // A Ctrl-C is for the gateway alone: it ends the backend once its own calls are done.
        command.process_group(0).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let program = PathBuf::from(command.as_std().get_program());
        let mut child = command.spawn().map_err(|error| {
            if error.kind() == io::ErrorKind::NotFound {
                BackendFailed::Missing(program)
            } else {
                BackendFailed::Start(error)
            }
        })?;
        // Taken out of the child, because waiting for the child would close it.
        let leash = child.stdin.take();
        let stdout =
            child.stdout.take().ok_or(io::ErrorKind::BrokenPipe).map_err(io::Error::from)?;
        let mut lines = BufReader::new(stdout).lines();
        match timeout(PATIENCE, announced(&mut lines)).await {
            Ok(true) => {
                tokio::spawn(drain(lines));
                Ok(Self { child, address, leash })
            }
            Ok(false) => Err(BackendFailed::Ended(child.wait().await?)),
            Err(_) => Err(BackendFailed::Late),
        }
    }

    /// As the gateway's configuration spells it.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Returns when the backend has ended by itself.
    pub(super) async fn ended(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Ends the backend, whatever it is doing.
    pub(super) async fn stop(mut self) -> io::Result<()> {
        self.child.kill().await
    }
}

/// Whether the backend said that it listens, before it said nothing more.
async fn announced(lines: &mut Lines<BufReader<ChildStdout>>) -> bool {
    while let Ok(Some(line)) = lines.next_line().await {
        if line.starts_with("listening on ") {
            return true;
        }
    }
    false
}

/// A pipe that nobody reads would stop the backend as soon as it is full.
async fn drain(mut lines: Lines<BufReader<ChildStdout>>) {
    while let Ok(Some(line)) = lines.next_line().await {
        tracing::debug!(line, "mcp-backend");
    }
}

const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    async fn launch(script: &str) -> Result<Backend, BackendFailed> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        Backend::launch(command, "unix:/socket".to_owned()).await
    }

    #[tokio::test]
    async fn is_there_once_it_has_said_so() {
        let backend = launch("echo hello; echo listening on unix:/socket; read -r line").await;
        let backend = backend.unwrap();
        assert_eq!(backend.address(), "unix:/socket");
        backend.stop().await.unwrap();
    }

    #[tokio::test]
    async fn tells_how_to_get_a_missing_backend() {
        let missing = Command::new("/nowhere/mcp-backend");
        let refused = Backend::launch(missing, String::new()).await.err().unwrap();
        assert!(refused.to_string().contains("cargo build -p mcp-backend"), "{refused}");
    }

    #[tokio::test]
    async fn tells_that_a_backend_ended_at_once() {
        let refused = launch("exit 3").await.err().unwrap();
        assert!(refused.to_string().ends_with("exit status: 3"), "{refused}");
    }

    #[tokio::test]
    async fn notices_when_it_ends_later() {
        let mut backend = launch("echo listening on unix:/socket; exit 4").await.unwrap();
        assert_eq!(backend.ended().await.unwrap().code(), Some(4));
    }
}
