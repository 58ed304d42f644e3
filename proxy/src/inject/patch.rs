//! What is added to a pod. Nothing is ever changed or removed: all else stays its author's.

use serde_json::{Value, json};

use super::annotation::{CONFIG, INJECTED, STATUS, Source, Style, Wanted};
use super::pod::{Pod, at};
use super::sidecar;

/// One thing that is added.
pub(super) enum Addition {
    /// To an object.
    Member { of: Vec<&'static str>, key: &'static str, value: Value },
    /// To a list, as its first.
    First { of: Vec<&'static str>, value: Value },
}

pub(super) fn additions(
    pod: Pod<'_>,
    wanted: &Wanted,
    settings: Option<&str>,
    image: &str,
) -> Vec<Addition> {
    let annotations = || vec!["metadata", "annotations"];
    let mut all = Vec::new();
    if let Some(settings) = settings {
        let value = settings.into();
        all.push(Addition::Member { of: annotations(), key: CONFIG, value });
    }
    let value = status(wanted, image).to_string().into();
    all.push(Addition::Member { of: annotations(), key: STATUS, value });
    all.push(label(pod));
    let mut volumes = sidecar::volumes(wanted);
    if at(pod.0, &["spec", "volumes"]).is_array() {
        // Each is put in front, so that the first one comes last.
        volumes.reverse();
        let of = || vec!["spec", "volumes"];
        all.extend(volumes.into_iter().map(|value| Addition::First { of: of(), value }));
    } else {
        all.push(Addition::Member { of: vec!["spec"], key: "volumes", value: volumes.into() });
    }
    let list = match wanted.style {
        Style::Native => "initContainers",
        Style::Classic => "containers",
    };
    let container = sidecar::container(wanted, image);
    all.push(if at(pod.0, &["spec", list]).is_array() {
        Addition::First { of: vec!["spec", list], value: container }
    } else {
        Addition::Member { of: vec!["spec"], key: list, value: json!([container]) }
    });
    all
}

fn label(pod: Pod<'_>) -> Addition {
    if at(pod.0, &["metadata", "labels"]).is_object() {
        let of = vec!["metadata", "labels"];
        return Addition::Member { of, key: INJECTED, value: "true".into() };
    }
    let value = json!({ INJECTED: "true" });
    Addition::Member { of: vec!["metadata"], key: "labels", value }
}

/// What was done, for whoever looks at the pod later.
fn status(wanted: &Wanted, image: &str) -> Value {
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "image": image,
        "container": sidecar::NAME,
        "sidecar": wanted.style.name(),
        "port": wanted.port,
        "config": match &wanted.source {
            Source::Map(name) => format!("config-map/{name}"),
            Source::Annotations { .. } => format!("annotation/{CONFIG}"),
        },
    })
}

impl Addition {
    /// As RFC 6902 writes it.
    pub(super) fn operation(&self) -> Value {
        let (of, last, value) = match self {
            Self::Member { of, key, value } => (of, *key, value),
            Self::First { of, value } => (of, "0", value),
        };
        // All steps are ours, and none has a tilde.
        let steps = of.iter().copied().chain([last]).map(|step| step.replace('/', "~1"));
        let path = steps.fold(String::new(), |path, step| path + "/" + &step);
        json!({ "op": "add", "path": path, "value": value })
    }

    /// To `pod` itself.
    pub(super) fn apply(&self, pod: &mut Value) {
        let (Self::Member { of, .. } | Self::First { of, .. }) = self;
        let place = of.iter().try_fold(pod, |value, step| value.get_mut(*step));
        match (self, place) {
            (Self::Member { key, value, .. }, Some(Value::Object(members))) => {
                members.insert((*key).to_owned(), value.clone());
            }
            (Self::First { value, .. }, Some(Value::Array(list))) => list.insert(0, value.clone()),
            // What is added to was there when it was looked for.
            (Self::Member { .. } | Self::First { .. }, _) => (),
        }
    }
}
