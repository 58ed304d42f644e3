//! Pods that ask for the proxy, as manifests and as an API server asks about them.

mod golden;
mod sidecar;
mod webhook;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde::Deserialize as _;
use serde_json::Value;

use crate::harness::postern;

/// What `postern inject` made of a file.
struct Told {
    code: Option<i32>,
    manifests: String,
    notes: String,
}

fn inject(file: &Path) -> Told {
    let mut command = postern();
    command.arg("inject").arg("-f").arg(file).stdin(Stdio::null());
    let output = command.output().unwrap();
    Told {
        code: output.status.code(),
        manifests: String::from_utf8(output.stdout).unwrap(),
        notes: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The manifests that the tests are about, by name.
fn cases() -> Vec<(String, PathBuf)> {
    let files = fs::read_dir(folder("pods")).unwrap().map(|entry| entry.unwrap().path());
    let mut cases: Vec<_> =
        files.map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), path)).collect();
    cases.sort();
    assert!(cases.len() >= 60, "{} cases", cases.len());
    cases
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/inject").join(name)
}

/// Every pod, or template of one, in some documents.
fn pods(text: &str) -> Vec<Value> {
    let documents = serde_yaml::Deserializer::from_str(text);
    let mut found = Vec::new();
    for document in documents.map(|document| Value::deserialize(document).unwrap()) {
        collect(&document, &mut found);
    }
    found
}

fn collect(value: &Value, found: &mut Vec<Value>) {
    if value["spec"]["containers"].is_array() {
        return found.push(value.clone());
    }
    let members = value.as_object().into_iter().flatten().map(|(_, member)| member);
    members.chain(value.as_array().into_iter().flatten()).for_each(|part| collect(part, found));
}
