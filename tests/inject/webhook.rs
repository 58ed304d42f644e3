//! The webhook: `AdmissionReview` over TLS, the patch applied by a library that others wrote.

use std::fs;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use json_patch::Patch;
use serde_json::{Value, json};

use super::{cases, inject, pods};
use crate::harness::{Certificate, Identity, Process, Response, Wire, follow, postern, wait_until};

struct Webhook {
    identity: Identity,
    reviews: SocketAddr,
    admin: SocketAddr,
    log: Receiver<String>,
    process: Process,
}

impl Webhook {
    fn start() -> Self {
        let identity = Identity::new();
        let mut command = postern();
        command.args(["webhook", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
        command.arg("--certificate").arg(&identity.certificate.chain);
        command.arg("--key").arg(&identity.certificate.key);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = Process(command.spawn().unwrap());
        let log = follow(&mut process.0);
        let line = log.recv_timeout(Duration::from_secs(20)).expect("it listens");
        let line: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line}"));
        let address = |name: &str| line[name].as_str().unwrap().parse().unwrap();
        Self { identity, reviews: address("webhook"), admin: address("admin"), log, process }
    }

    fn connect(&self) -> Wire {
        self.identity.connect(self.reviews)
    }

    fn review(&self, pod: &Value) -> Value {
        answer(&self.connect().post(&asking(pod).to_string()))
    }

    fn injections(&self, result: &str) -> bool {
        let text = Wire::connect(self.admin).request("GET", "/metrics", &[], "").body;
        text.contains(&format!("postern_injections_total{{result=\"{result}\"}} "))
    }
}

trait Post {
    fn post(&mut self, body: &str) -> Response;
}

impl Post for Wire {
    fn post(&mut self, body: &str) -> Response {
        self.request("POST", "/inject?timeout=5s", &[("Content-Type", "application/json")], body)
    }
}

/// As an API server asks.
fn asking(pod: &Value) -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "kind": { "group": "", "version": "v1", "kind": "Pod" },
            "resource": { "group": "", "version": "v1", "resource": "pods" },
            "namespace": "notes",
            "operation": "CREATE",
            "userInfo": { "username": "system:serviceaccount:kube-system:replicaset-controller" },
            "object": pod,
            "oldObject": null,
            "dryRun": false,
        },
    })
}

#[track_caller]
fn answer(response: &Response) -> Value {
    assert_eq!(response.status, 200, "{response:?}");
    assert_eq!(response.header("content-type"), "application/json");
    let answer: Value = serde_json::from_str(&response.body).unwrap();
    assert_eq!(answer["apiVersion"], "admission.k8s.io/v1");
    assert_eq!(answer["kind"], "AdmissionReview");
    assert_eq!(answer["response"]["uid"], "705ab4f5-6393-11e8-b7cc-42010a800002");
    answer["response"].clone()
}

/// The pod that the API server goes on with.
fn patched(pod: &Value, response: &Value) -> Value {
    let mut pod = pod.clone();
    if let Some(patch) = response["patch"].as_str() {
        assert_eq!(response["patchType"], "JSONPatch");
        let patch: Patch = serde_json::from_slice(&STANDARD.decode(patch).unwrap()).unwrap();
        json_patch::patch(&mut pod, &patch).unwrap();
    }
    pod
}

fn a_pod() -> Value {
    let path = super::folder("pods").join("pod.yaml");
    pods(&fs::read_to_string(path).unwrap()).remove(0)
}

#[test]
fn it_does_to_pods_what_the_command_does_to_manifests() {
    let webhook = Webhook::start();
    for (name, path) in cases() {
        // Only where the text stands in the way, not the pod.
        if ["in-braces", "left-overs"].contains(&name.as_str()) {
            continue;
        }
        let told = inject(&path);
        let before = pods(&fs::read_to_string(&path).unwrap());
        let responses = before.iter().map(|pod| webhook.review(pod));
        if told.code == Some(0) {
            let after: Vec<_> =
                before.iter().zip(responses).map(|(pod, said)| patched(pod, &said)).collect();
            assert_eq!(after, pods(&told.manifests), "{name}");
        } else {
            let mut refusals = responses.filter(|response| response["allowed"] == false);
            let message = refusals.next().unwrap()["status"]["message"].clone();
            assert!(told.notes.contains(message.as_str().unwrap()), "{name}: {message}");
        }
    }
    for result in ["injected", "skipped", "refused"] {
        assert!(webhook.injections(result), "{result} is counted");
    }
}

#[test]
fn what_has_been_patched_is_left_alone_when_it_is_asked_about_again() {
    let webhook = Webhook::start();
    let pod = a_pod();
    let once = patched(&pod, &webhook.review(&pod));
    assert_ne!(once, pod);
    let again = webhook.review(&once);
    assert_eq!((&again["allowed"], &again["patch"]), (&json!(true), &Value::Null));
}

#[test]
fn what_an_earlier_injection_left_in_annotations_is_written_anew() {
    let webhook = Webhook::start();
    let mut pod = a_pod();
    pod["metadata"]["annotations"]["postern.internal/config"] = "listen: 0.0.0.0:80".into();
    pod["metadata"]["annotations"]["postern.internal/status"] = "injected, believe me".into();
    assert_eq!(patched(&pod, &webhook.review(&pod)), patched(&a_pod(), &webhook.review(&a_pod())));
}

#[test]
fn ephemeral_containers_and_updates_pass_untouched() {
    let webhook = Webhook::start();
    for (key, value) in [("subResource", "ephemeralcontainers"), ("operation", "UPDATE")] {
        let mut question = asking(&a_pod());
        question["request"][key] = value.into();
        let response = answer(&webhook.connect().post(&question.to_string()));
        assert_eq!((&response["allowed"], &response["patch"]), (&json!(true), &Value::Null));
    }
}

#[test]
fn what_is_not_a_pod_is_a_mistake_of_the_rules() {
    let webhook = Webhook::start();
    let mut question = asking(&a_pod());
    question["request"]["kind"] = json!({ "group": "apps", "version": "v1", "kind": "Deployment" });
    let response = answer(&webhook.connect().post(&question.to_string()));
    assert_eq!(response["allowed"], false);
    assert!(response["status"]["message"].as_str().unwrap().contains("only pods"), "{response}");
}

#[test]
fn what_is_no_review_is_refused_and_counted() {
    let webhook = Webhook::start();
    let mut old = asking(&a_pod());
    old["apiVersion"] = "admission.k8s.io/v1beta1".into();
    let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
    for body in ["", "{}", "null", "[1", "\u{0}", &old.to_string(), &deep] {
        let response = webhook.connect().post(body);
        assert_eq!(response.status, 400, "{body:.40}: {response:?}");
    }
    let large = " ".repeat((4 << 20) + 1);
    assert_eq!(webhook.connect().post(&large).status, 400);
    assert!(webhook.injections("failed"));
    assert_eq!(webhook.connect().request("GET", "/inject", &[], "").status, 405);
    assert_eq!(webhook.connect().request("POST", "/", &[], "{}").status, 404);
    assert_eq!(webhook.review(&a_pod())["allowed"], true, "still");
}

#[test]
fn pods_of_any_shape_get_an_answer() {
    let webhook = Webhook::start();
    let asked = json!({ "postern.internal/inject": "true" });
    for pod in [
        json!(null),
        json!("pod"),
        json!([]),
        json!({ "metadata": [], "spec": 7 }),
        json!({ "metadata": { "annotations": asked } }),
        json!({ "metadata": { "annotations": asked, "labels": 7 }, "spec": { "containers": {} } }),
        json!({ "metadata": { "annotations": { "postern.internal/inject": true } }, "spec": null }),
        json!({ "metadata": { "annotations": asked }, "spec": { "containers": [[], 7, null],
            "initContainers": "none", "volumes": 1 } }),
    ] {
        let response = webhook.review(&pod);
        let asks = pod.pointer("/metadata/annotations").is_some();
        assert_eq!(response["allowed"], !asks, "{pod}: {response}");
    }
}

#[test]
fn a_certificate_that_is_replaced_is_shown_and_a_broken_one_changes_nothing() {
    let webhook = Webhook::start();
    let mut kept = webhook.connect();
    assert_eq!(kept.post(&asking(&a_pod()).to_string()).status, 200);
    let files = &webhook.identity.certificate;
    fs::write(&files.chain, "no certificate").unwrap();
    let seen = |part: &str| {
        let patience = Duration::from_secs(20);
        while !webhook.log.recv_timeout(patience).expect(part).contains(part) {}
    };
    seen("certificate unchanged");
    assert_eq!(webhook.review(&a_pod())["allowed"], true);
    // The client reads the authority's file anew, and believes the new one alone.
    let directory = files.chain.parent().unwrap();
    Certificate::write(directory);
    seen("certificate taken over");
    assert_eq!(webhook.review(&a_pod())["allowed"], true);
    assert_eq!(kept.post(&asking(&a_pod()).to_string()).status, 200, "the old connection goes on");
}

#[test]
fn it_is_told_to_stop_and_stops() {
    let mut webhook = Webhook::start();
    for path in ["/livez", "/readyz"] {
        assert_eq!(Wire::connect(webhook.admin).request("GET", path, &[], "").status, 200);
    }
    let pid = webhook.process.0.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    wait_until("it ends", || webhook.process.0.try_wait().unwrap().is_some());
    assert_eq!(webhook.process.0.wait().unwrap().code(), Some(0));
}

/// Eight API servers' worth of connections, each asking as fast as it is answered.
#[test]
#[ignore = "a measurement: run it alone, with --release"]
#[expect(clippy::print_stdout, reason = "the figures are what it is for")]
fn the_slowest_hundredth_takes_less_than_ten_milliseconds() {
    let webhook = Webhook::start();
    let question = asking(&a_pod()).to_string();
    let ask = |mut wire: Wire| {
        let timed = |_| {
            let begin = Instant::now();
            assert_eq!(wire.post(&question).status, 200);
            begin.elapsed()
        };
        (0..1_000).map(timed).collect::<Vec<_>>()
    };
    let mut times: Vec<Duration> = thread::scope(|scope| {
        let wires = (0..8).map(|_| webhook.connect());
        let clients: Vec<_> = wires.map(|wire| scope.spawn(|| ask(wire))).collect();
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    times.sort();
    let [median, slow] = [50, 99].map(|percent| times[times.len() * percent / 100]);
    println!("{} reviews: median {median:?}, 99th percentile {slow:?}", times.len());
    assert!(slow < Duration::from_millis(10), "{slow:?}");
}
