//! What is in `deploy/`, each file by the program that it is for, and settings by a real gateway.
//! `tests/deploy/prepare.sh` brings the programs.

mod chart;
mod files;
mod guides;
mod proxies;
mod scanners;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use jsonwebtoken::Algorithm;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Claims, Identity, Issuer, Key, Wire, World, now, wait_until};

/// Somebody else's program.
pub(crate) fn tool(name: &str) -> Command {
    let path = root().join("target/deploy/bin").join(name);
    assert!(
        path.exists(),
        "{name} is not there: `make test` brings it, or tests/deploy/prepare.sh"
    );
    let mut command = Command::new(path);
    command.current_dir(root());
    command
}

/// What it prints when all is well.
#[track_caller]
fn passes(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
    told
}

/// What it complains of when it is not.
#[track_caller]
fn fails(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn read(path: &str) -> String {
    let text = fs::read_to_string(root().join("deploy").join(path));
    text.unwrap_or_else(|error| panic!("deploy/{path}: {error}"))
}

/// Files of a kind, anywhere below a folder of `deploy/`.
fn all(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join("deploy").join(folder)];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.to_str().unwrap().ends_with(ending) {
                found.push(path);
            }
        }
    }
    assert!(!found.is_empty(), "no {ending} in {folder}");
    found
}

/// A gateway with somebody's settings: the same but for ports, files, and where keys and backend are.
struct Started {
    world: World,
    identity: Identity,
    key: Key,
    has_tls: bool,
    _directory: TempDir,
}

impl Started {
    fn with(settings: &str) -> Self {
        // The host that our clients dial.
        let settings = settings.replace("mcp.example.com", "mcp.example");
        let settings: Value = serde_yaml::from_str(&settings).unwrap();
        let (identity, key) = (Identity::new(), Key::of(Algorithm::RS256, "first"));
        let directory = tempfile::tempdir().unwrap();
        let keys = directory.path().join("keys.json");
        fs::write(&keys, json!({ "keys": [key.published()] }).to_string()).unwrap();
        let mut lines = Vec::new();
        let has_tls = settings["tls"].is_object();
        for (name, value) in settings.as_object().unwrap() {
            lines.push(match name.as_str() {
                "listen" | "admin" | "upstream" | "log" => continue,
                "tls" if has_tls => identity.settings(),
                "issuers" => {
                    let mut issuers = value.clone();
                    issuers[0]["keys"] = json!({ "file": keys });
                    format!("issuers: {issuers}")
                }
                _ => format!("{name}: {value}"),
            });
        }
        let world = World::unready(Issuer::start(), &lines.join("\n"));
        wait_until("the gateway is ready", || world.is_ready());
        Self { world, identity, key, has_tls, _directory: directory }
    }

    fn connect(&self) -> Wire {
        if self.has_tls { self.identity.connect(self.world.gateway) } else { self.world.connect() }
    }

    /// What a call with these claims is answered, under a header with this `typ`.
    fn call(&self, typ: Option<&str>, claims: Value) -> u16 {
        let mut header = self.key.header();
        header.typ = typ.map(str::to_owned);
        let Value::Object(members) = claims else { panic!("claims are an object") };
        let claims = Claims(members.into_iter().collect());
        let claims = claims.set("iat", now()).set("exp", now() + 300);
        self.connect().call(&self.key.sign_as(&header, &claims)).status
    }
}
