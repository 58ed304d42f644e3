//! `postern dev`: everything on one laptop, in one command.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Process, backend, postern, wait_until};

struct Laptop {
    process: Process,
    told: Value,
    rest: BufReader<std::process::ChildStdout>,
    /// Where it keeps its files, which it cannot remove when it is killed.
    _directory: TempDir,
}

impl Laptop {
    fn start() -> Self {
        // Built beside the proxy; without it there is nothing to guard.
        assert!(std::path::Path::new(backend().get_program()).exists(), "build mcp-backend first");
        let directory = tempfile::tempdir().unwrap();
        let mut command = postern();
        command.env("TMPDIR", directory.path());
        command.args(["dev", "--json", "--port", "0"]).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = Process(command.spawn().unwrap());
        let mut rest = BufReader::new(process.0.stdout.take().unwrap());
        let mut line = String::new();
        rest.read_line(&mut line).unwrap();
        Self { process, told: serde_json::from_str(&line).unwrap(), rest, _directory: directory }
    }

    fn text(&self, name: &str) -> &str {
        self.told[name].as_str().unwrap_or_else(|| panic!("{name} in {}", self.told))
    }

    fn interrupt(&mut self) -> i32 {
        let pid = self.process.0.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        self.process.0.wait().unwrap().code().unwrap()
    }
}

#[test]
fn one_line_of_json_tells_everything_and_nothing_follows_it() {
    let mut laptop = Laptop::start();
    let members = [
        "gateway",
        "metadata",
        "issuer",
        "token_endpoint",
        "admin",
        "ca_file",
        "config_file",
        "client_id",
        "client_secret",
        "token",
    ];
    for name in members {
        assert!(!laptop.text(name).is_empty(), "{name}");
    }
    assert_eq!(laptop.told.as_object().unwrap().len(), members.len());
    assert!(laptop.text("gateway").starts_with("https://127.0.0.1:"));
    let authority = laptop.text("ca_file").to_owned();
    assert!(std::fs::metadata(&authority).is_ok());

    assert_eq!(laptop.interrupt(), 0);
    let mut more = String::new();
    laptop.rest.read_to_string(&mut more).unwrap();
    assert_eq!(more, "");
    assert!(std::fs::metadata(&authority).is_err(), "it cleans up after itself");
}

#[test]
fn a_token_can_be_explained_while_it_runs() {
    let laptop = Laptop::start();
    let explain = |token: &str| {
        let mut command = postern();
        command.args(["explain", "--config", laptop.text("config_file"), "--token", token]);
        command.output().unwrap()
    };
    let good = explain(laptop.text("token"));
    assert!(good.stdout.starts_with(b"would pass\n"), "{good:?}");
    let cut = explain(laptop.text("token").trim_end_matches(|c| c != '.'));
    assert_eq!(cut.status.code(), Some(1), "{cut:?}");
}

#[test]
fn killing_it_leaves_no_backend_behind() {
    let mut laptop = Laptop::start();
    let pid = laptop.process.0.id();
    let children = || {
        let listed = Command::new("ps").args(["-eo", "ppid,pid,comm"]).output().unwrap();
        String::from_utf8(listed.stdout).unwrap()
    };
    let line = children();
    let child = line.lines().filter(|line| line.contains("mcp-backend")).find_map(|line| {
        let mut words = line.split_whitespace();
        (words.next()? == pid.to_string()).then(|| words.next().unwrap().to_owned())
    });
    let child = child.expect("a backend among its children");
    laptop.process.0.kill().unwrap();
    laptop.process.0.wait().unwrap();
    wait_until("the backend is gone", || {
        !children().lines().any(|line| {
            line.contains("mcp-backend") && line.split_whitespace().nth(1) == Some(&child)
        })
    });
}
