//! One request and its answer, in the way that the server at hand needs it.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use super::counterpart;
use crate::harness::{Certificate, Response, Wire};

/// A request that is made over TLS, by Python's own client.
pub(super) struct Post<'a> {
    pub(super) url: &'a str,
    pub(super) authority: &'a Path,
    /// What the client shows of itself.
    pub(super) own: Option<&'a Certificate>,
}

impl Post<'_> {
    pub(super) fn send(&self, headers: &[(&str, &str)], body: &str) -> Response {
        let mut script = counterpart("python", "post.py");
        script.args(["--url", self.url, "--body", body]).arg("--ca").arg(self.authority);
        if let Some(own) = self.own {
            script.arg("--certificate").arg(&own.chain).arg("--key").arg(&own.key);
        }
        let mut script = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let headers: Value = headers.iter().map(|&(name, value)| (name, value)).collect();
        script.stdin.take().unwrap().write_all(headers.to_string().as_bytes()).unwrap();
        let output = script.wait_with_output().unwrap();
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        let text = |name: &str| told[name].as_str().unwrap().to_owned();
        let status = told["status"].as_u64().unwrap().try_into().unwrap();
        Response { status, head: text("head"), body: text("body") }
    }
}

/// The same without TLS, as a form.
pub(super) fn post(address: SocketAddr, path: &str, form: &str) -> Response {
    let headers = [("Content-Type", "application/x-www-form-urlencoded")];
    Wire::connect(address).request("POST", path, &headers, form)
}
