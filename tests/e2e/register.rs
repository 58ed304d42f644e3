//! The gateway becomes a client of a real authorization server by itself.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;
use tempfile::TempDir;

use super::Provider;
use crate::harness::postern;

struct Desk {
    provider: Provider,
    directory: TempDir,
}

impl Desk {
    fn open() -> Self {
        let provider = Provider::choosy("https://mcp.example/mcp", "initial-token");
        Self { provider, directory: tempfile::tempdir().unwrap() }
    }

    fn kept(&self) -> PathBuf {
        self.directory.path().join("client")
    }

    fn run(&self, token: &str, uri: &str, further: &[&str]) -> Output {
        let file = self.directory.path().join("registration.yaml");
        let text = format!(
            "issuer: {}\nredirect_uris: ['{uri}']\ninitial_access_token: {token}\ndirectory: {}\n",
            self.provider.issuer,
            self.kept().display()
        );
        fs::write(&file, text).unwrap();
        let output =
            postern().arg("register").arg("--file").arg(file).args(further).output().unwrap();
        let told = [output.stdout.clone(), output.stderr.clone()].concat();
        let told = String::from_utf8(told).unwrap();
        assert!(!told.contains(token), "{told}");
        output
    }

    fn whole(&self) -> Value {
        serde_json::from_slice(&fs::read(self.kept().join("registration.json")).unwrap()).unwrap()
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

const CALLBACK: &str = "https://mcp.example/oauth/callback";

#[test]
fn it_registers_changes_that_and_takes_it_back() {
    let desk = Desk::open();
    let output = desk.run("initial-token", CALLBACK, &[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let (kept, whole) = (desk.kept(), desk.whole());
    assert_eq!(mode(&kept), 0o700);
    for name in ["registration.json", "client_id", "client_secret"] {
        assert_eq!(mode(&kept.join(name)), 0o600, "{name}");
    }
    let text = |name: &str| fs::read_to_string(kept.join(name)).unwrap();
    assert_eq!(whole["client_id"], text("client_id"));
    assert_eq!(whole["client_secret"], text("client_secret"));
    assert_eq!(whole["redirect_uris"][0], CALLBACK);
    assert_eq!(fs::read_dir(&kept).unwrap().count(), 3, "nothing is left over");

    let again = desk.run("initial-token", CALLBACK, &[]);
    assert_eq!(again.status.code(), Some(78), "{again:?}");
    assert_eq!(desk.whole(), whole);

    let other = "https://other.example/oauth/callback";
    let changed = desk.run("initial-token", other, &["--update"]);
    assert_eq!(changed.status.code(), Some(0), "{changed:?}");
    assert_eq!(desk.whole()["client_id"], whole["client_id"]);
    assert_eq!(desk.whole()["redirect_uris"][0], other);
    assert_eq!(mode(&kept.join("client_secret")), 0o600);

    let removed = desk.run("initial-token", other, &["--remove"]);
    assert_eq!(removed.status.code(), Some(0), "{removed:?}");
    assert_eq!(fs::read_dir(&kept).unwrap().count(), 0);
    let gone = desk.run("initial-token", other, &["--remove"]);
    assert_eq!(gone.status.code(), Some(78), "{gone:?}");
}

#[test]
fn an_issuer_that_says_no_leaves_nothing_behind() {
    let desk = Desk::open();
    let output = desk.run("wrong-token", CALLBACK, &[]);
    assert_eq!(output.status.code(), Some(69), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("invalid_token"), "{output:?}");
    assert_eq!(fs::read_dir(desk.kept()).unwrap().count(), 0);
}
