//! `AdmissionReview`, version 1: an API server's question, and our answer.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::patch::Addition;
use super::pod::at;
use super::{Injection, Verdict, inject};

/// What is answered, and what to count and log it as.
pub(super) struct Reviewed {
    pub(super) answer: Value,
    pub(super) result: &'static str,
    pub(super) pod: String,
    pub(super) told: Vec<String>,
}

/// None if it is not a question that we know.
pub(super) fn review(question: &Value, image: &str) -> Option<Reviewed> {
    let request = at(question, &["request"]);
    if *at(question, &["apiVersion"]) != VERSION || *at(question, &["kind"]) != "AdmissionReview" {
        return None;
    }
    let uid = at(request, &["uid"]).as_str()?;
    let pod = at(request, &["object"]);
    let (mut response, result, told) = match asked(request) {
        Asked::ForPod => judge(pod, image),
        Asked::Nothing => (json!({ "allowed": true }), "skipped", Vec::new()),
        Asked::Amiss => {
            let why = "only pods can be given a proxy: correct the rules of the webhook".to_owned();
            (refusal(&why), "refused", vec![why])
        }
    };
    if let Some(members) = response.as_object_mut() {
        members.insert("uid".into(), uid.into());
    }
    let answer = json!({ "apiVersion": VERSION, "kind": "AdmissionReview", "response": response });
    Some(Reviewed { answer, result, pod: name(request), told })
}

enum Asked {
    ForPod,
    /// Containers cannot be added later, and ephemeral ones are not ours to look at.
    Nothing,
    Amiss,
}

fn asked(request: &Value) -> Asked {
    let group = at(request, &["kind", "group"]).as_str().unwrap_or_default();
    if *at(request, &["kind", "kind"]) != "Pod" || !group.is_empty() {
        return Asked::Amiss;
    }
    let is_part = at(request, &["subResource"]).as_str().is_some_and(|part| !part.is_empty());
    if is_part || *at(request, &["operation"]) != "CREATE" {
        return Asked::Nothing;
    }
    Asked::ForPod
}

fn judge(pod: &Value, image: &str) -> (Value, &'static str, Vec<String>) {
    match inject(pod, image) {
        Verdict::Inject(Injection { additions, warnings }) => {
            let patch = additions.iter().map(Addition::operation).collect::<Value>();
            let response = json!({
                "allowed": true,
                "patchType": "JSONPatch",
                "patch": STANDARD.encode(patch.to_string()),
                "warnings": warnings,
            });
            (response, "injected", warnings)
        }
        Verdict::Skip(skip) => (json!({ "allowed": true }), "skipped", vec![skip.to_string()]),
        Verdict::Refuse(refused) => {
            let why = refused.to_string();
            (refusal(&why), "refused", vec![why])
        }
    }
}

/// Whoever asks for a guard and cannot have it must not run without.
fn refusal(why: &str) -> Value {
    json!({ "allowed": false, "status": { "code": 422, "reason": "Invalid", "message": why } })
}

/// Pods of a controller have no name yet.
fn name(request: &Value) -> String {
    let namespace = at(request, &["namespace"]).as_str().unwrap_or_default();
    let metadata = |key| at(request, &["object", "metadata", key]);
    let names = [at(request, &["name"]), metadata("name"), metadata("generateName")];
    let name = names.into_iter().filter_map(Value::as_str).find(|name| !name.is_empty());
    format!("{namespace}/{}", name.unwrap_or("without a name"))
}

const VERSION: &str = "admission.k8s.io/v1";
