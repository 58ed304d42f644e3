//! A pod, as far as it matters here: read as it comes, whatever its author or others put into it.

use serde_json::Value;

use super::annotation::{Source, Style, Wanted};
use super::{Problem, sidecar};

/// A whole pod, or a workload's template of one.
#[derive(Clone, Copy)]
pub(super) struct Pod<'a>(pub(super) &'a Value);

impl<'a> Pod<'a> {
    pub(super) fn annotation(self, key: &str) -> Option<&'a str> {
        self.0.pointer("/metadata/annotations")?.get(key)?.as_str()
    }

    pub(super) fn annotations(self) -> impl Iterator<Item = &'a str> {
        let all = self.0.pointer("/metadata/annotations").and_then(Value::as_object);
        all.into_iter().flatten().map(|(key, _)| key.as_str())
    }

    pub(super) fn container(self, name: &str) -> Option<&'a Value> {
        self.containers()
            .find(|(_, container)| *at(container, &["name"]) == name)
            .map(|(_, found)| found)
    }

    /// TCP ports that containers declare, each once.
    pub(super) fn ports(self) -> Vec<u16> {
        let all = self.containers().flat_map(|(_, container)| items(container, "ports"));
        let tcp =
            all.filter(|port| at(port, &["protocol"]).as_str().is_none_or(|name| name == "TCP"));
        let mut ports: Vec<u16> =
            tcp.filter_map(|port| at(port, &["containerPort"]).as_u64()?.try_into().ok()).collect();
        ports.sort_unstable();
        ports.dedup();
        ports
    }

    /// All that run for as long as the pod does or before, with where they stand in it. Ephemeral ones
    /// are somebody's tools: they are never looked at.
    fn containers(self) -> impl Iterator<Item = (String, &'a Value)> {
        ["initContainers", "containers"].into_iter().flat_map(move |list| {
            items(at(self.0, &["spec"]), list)
                .enumerate()
                .map(move |(index, container)| (format!("spec.{list}[{index}]"), container))
        })
    }

    /// What no annotation can make good.
    pub(super) fn find_what_forbids(self, problems: &mut Vec<Problem>) {
        let spec = at(self.0, &["spec"]);
        let mut wrong = |at: &str, why: &str, fix: &str| {
            problems.push(Problem::new(at, None, why, fix));
        };
        if items(spec, "containers").next().is_none() {
            wrong("spec.containers", "there is nothing to guard", "add the app's container");
        }
        // Only `false` and nothing are a no, whatever else somebody writes.
        if !matches!(at(spec, &["hostNetwork"]), Value::Null | Value::Bool(false)) {
            let why = "the app's loopback would be the node's, where others are";
            wrong(
                "spec.hostNetwork",
                why,
                "remove it, or run a gateway of its own for this server",
            );
        }
        if *at(spec, &["os", "name"]) == "windows" {
            wrong("spec.os.name", "the proxy is a Linux program", "run a gateway beside the pod");
        }
        for (index, volume) in items(spec, "volumes").enumerate() {
            if [sidecar::CONFIG_VOLUME, sidecar::TLS_VOLUME]
                .iter()
                .any(|ours| *at(volume, &["name"]) == **ours)
            {
                let at = format!("spec.volumes[{index}].name");
                wrong(&at, "the proxy's own volume has this name", "give yours another");
            }
        }
    }

    /// How the app and the proxy get along.
    pub(super) fn judge(
        self,
        wanted: &Wanted,
        problems: &mut Vec<Problem>,
        warnings: &mut Vec<String>,
    ) {
        let restarts = at(self.0, &["spec", "restartPolicy"]).as_str().unwrap_or("Always");
        if wanted.style == Style::Classic && restarts != "Always" {
            let why = "a classic sidecar would run for ever, and the pod never be done";
            let fix = "leave the annotation out: a native sidecar ends with the app";
            let at = "postern.internal/sidecar";
            problems.push(Problem::new(at, Some(wanted.style.name()), why, fix));
        }
        if wanted.port == sidecar::ADMIN_PORT {
            let why = "the proxy's metrics and probes are there";
            let fix = "let the app listen on another port";
            let found = wanted.port.to_string();
            problems.push(Problem::new("postern.internal/port", Some(&found), why, fix));
        }
        if self.ports().contains(&sidecar::ADMIN_PORT) && wanted.port != sidecar::ADMIN_PORT {
            let why = format!(
                "a container declares {}, where the proxy's metrics and probes are",
                sidecar::ADMIN_PORT
            );
            problems.push(Problem::new("ports", None, why, "give that container another port"));
        }
        if wanted.port < 1024 {
            warnings.push(format!(
                "the proxy is not root: to listen on port {} it needs a container runtime that lets \
                 anybody (containerd 2 does), or the sysctl net.ipv4.ip_unprivileged_port_start",
                wanted.port
            ));
        }
        for (place, container) in self.containers() {
            hooks(&place, container, wanted, problems, warnings);
            warnings.extend(listens_everywhere(container, wanted.port));
        }
    }
}

/// What is there, or null.
pub(super) fn at<'v>(value: &'v Value, steps: &[&str]) -> &'v Value {
    steps.iter().try_fold(value, |value, step| value.get(*step)).unwrap_or(&Value::Null)
}

fn items<'a>(of: &'a Value, list: &str) -> impl Iterator<Item = &'a Value> {
    at(of, &[list]).as_array().into_iter().flatten()
}

/// What the kubelet asks at the port that is the proxy's now.
fn hooks(
    place: &str,
    container: &Value,
    wanted: &Wanted,
    problems: &mut Vec<Problem>,
    warnings: &mut Vec<String>,
) {
    let is_taken = |hook: &Value, kind: &str| match at(hook, &[kind, "port"]) {
        Value::Number(number) => number.as_u64() == Some(wanted.port.into()),
        Value::String(name) => {
            let mut ports = items(container, "ports").filter(|port| *at(port, &["name"]) == **name);
            ports.any(|port| at(port, &["containerPort"]).as_u64() == Some(wanted.port.into()))
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => false,
    };
    for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
        let (place, probe) = (format!("{place}.{probe}"), at(container, &[probe]));
        if is_taken(probe, "tcpSocket") {
            warnings.push(format!("{place} reaches the proxy now, and says nothing of the app"));
        }
        if is_taken(probe, "grpc") {
            problems.push(unanswered(&place, "grpc", wanted.port));
        }
        if is_taken(probe, "httpGet") {
            let path = at(probe, &["httpGet", "path"]).as_str().unwrap_or("/");
            match scheme(wanted) {
                Some(scheme)
                    if at(probe, &["httpGet", "scheme"]).as_str().unwrap_or("HTTP") != scheme =>
                {
                    let why = format!("the proxy answers at this port now, and speaks {scheme}");
                    let place = format!("{place}.httpGet.scheme");
                    problems.push(Problem::new(place, None, why, format!("write {scheme}")));
                }
                Some(_) | None if path == HEALTH => warnings
                    .push(format!("{place} is answered by the proxy now, and not by the app")),
                Some(_) | None => problems.push(unanswered(&place, path, wanted.port)),
            }
        }
    }
    for hook in ["postStart", "preStop"] {
        let found = at(container, &["lifecycle", hook]);
        if is_taken(found, "httpGet") {
            let path = at(found, &["httpGet", "path"]).as_str().unwrap_or("/");
            problems.push(unanswered(&format!("{place}.lifecycle.{hook}"), path, wanted.port));
        }
    }
}

/// What the proxy speaks, if it is known here.
fn scheme(wanted: &Wanted) -> Option<&'static str> {
    match (&wanted.source, &wanted.tls_secret) {
        (Source::Map(_), _) => None,
        (Source::Annotations { .. }, Some(_)) => Some("HTTPS"),
        (Source::Annotations { .. }, None) => Some("HTTP"),
    }
}

fn unanswered(place: &str, found: &str, port: u16) -> Problem {
    let why = format!(
        "port {port} is the proxy's now, and the kubelet has no token: the pod would never be well"
    );
    let fix = format!(
        "ask by exec, or at a port of the app's own; {HEALTH} over httpGet is answered by the proxy"
    );
    Problem::new(place, Some(found), why, fix)
}

/// The one public path that answers under any name.
const HEALTH: &str = "/healthz";

/// As far as the spec tells. It could not start so: the proxy has the port at the pod's address.
fn listens_everywhere(container: &Value, port: u16) -> Option<String> {
    let words = ["command", "args"].into_iter().flat_map(|key| items(container, key));
    let values = items(container, "env").map(|variable| at(variable, &["value"]));
    let all = words.chain(values).filter_map(Value::as_str);
    let found = all.into_iter().find(|text| is_everywhere(text))?;
    // Somebody else's text, in a message: a little of it is enough.
    let shown: String = found.chars().take(60).collect();
    Some(format!(
        "container {} seems to listen on all addresses ({shown:?}): it must listen on \
         127.0.0.1:{port}, or it cannot start",
        at(container, &["name"]).as_str().unwrap_or("without a name")
    ))
}

fn is_everywhere(text: &str) -> bool {
    let word = |word: &str| word.starts_with("0.0.0.0") || word.starts_with("[::]") || word == "::";
    text.split([' ', '=', ',', '/', '"', '\'']).any(word)
}
