use std::process::{ExitStatus, Stdio};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::soon;

/// The built program, as another program starts it.
pub(crate) struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Lines<BufReader<ChildStdout>>,
}

/// What a process left when it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    /// Lines that nobody had read.
    pub(crate) stdout: Vec<String>,
    pub(crate) stderr: String,
}

impl Process {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_mcp-backend"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, stdin, stdout }
    }

    /// The next line on stdout, while there is one.
    pub(crate) async fn line(&mut self) -> Option<String> {
        soon(self.stdout.next_line()).await.unwrap()
    }

    pub(crate) async fn write(&mut self, message: &Value) {
        let line = format!("{message}\n");
        soon(self.stdin.as_mut().unwrap().write_all(line.as_bytes())).await.unwrap();
    }

    /// Sends a request and reads its answer.
    pub(crate) async fn ask(&mut self, request: &Value) -> Value {
        self.write(request).await;
        serde_json::from_str(&self.line().await.unwrap()).unwrap()
    }

    /// EOF on stdin.
    pub(crate) fn hang_up(&mut self) {
        self.stdin = None;
    }

    pub(crate) async fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id().unwrap());
        assert!(Command::new("sh").args(["-c", &kill]).status().await.unwrap().success());
    }

    /// Waits for the end, without bringing it about.
    pub(crate) async fn end(mut self) -> Ended {
        let mut stdout = Vec::new();
        while let Some(line) = self.line().await {
            stdout.push(line);
        }
        let mut stderr = String::new();
        soon(self.child.stderr.take().unwrap().read_to_string(&mut stderr)).await.unwrap();
        Ended { status: soon(self.child.wait()).await.unwrap(), stdout, stderr }
    }

    /// Waits for an end that must be a success with nothing more to say.
    pub(crate) async fn ends_well(self) -> Ended {
        let ended = self.end().await;
        assert!(ended.status.success() && ended.stdout.is_empty(), "{ended:?}");
        ended
    }
}
