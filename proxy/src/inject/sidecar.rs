//! The container that is put in, and its volumes.

use serde_json::{Value, json};

use super::annotation::{CONFIG, Source, Style, Wanted};

pub(super) const NAME: &str = "postern";
pub(super) const CONFIG_VOLUME: &str = "postern-config";
pub(super) const TLS_VOLUME: &str = "postern-tls";
pub(super) const ADMIN_PORT: u16 = 9464;
pub(super) const CERTIFICATE: &str = "/etc/postern/tls/tls.crt";
pub(super) const KEY: &str = "/etc/postern/tls/tls.key";

pub(super) fn container(wanted: &Wanted, image: &str) -> Value {
    let container = json!({
        "name": NAME,
        "image": image,
        "args": ["run", "--config", FILE],
        "env": [{ "name": "POD_IP", "valueFrom": { "fieldRef": { "fieldPath": "status.podIP" } } }],
        "ports": [{ "name": "postern-admin", "containerPort": ADMIN_PORT, "protocol": "TCP" }],
        "readinessProbe": probe("/readyz", 5, 3),
        "livenessProbe": probe("/livez", 10, 3),
        "resources": resources(wanted),
        "securityContext": {
            "runAsNonRoot": true,
            "runAsUser": USER,
            "runAsGroup": USER,
            "privileged": false,
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": { "drop": ["ALL"] },
            "seccompProfile": { "type": "RuntimeDefault" },
        },
        "volumeMounts": mounts(wanted),
    });
    let further = match wanted.style {
        Style::Native => {
            json!({ "restartPolicy": "Always", "startupProbe": probe("/livez", 1, 60) })
        }
        // It is the first, and the next one is started only when this hook has ended: so that the
        // proxy has the port before an app that would take all addresses.
        Style::Classic => {
            let wait = ["/postern", "healthcheck", "--config", FILE, "--live", "--within", "60"];
            json!({ "lifecycle": { "postStart": { "exec": { "command": wait } } } })
        }
    };
    both(container, further)
}

/// The members of two objects.
fn both(mut one: Value, other: Value) -> Value {
    if let (Value::Object(members), Value::Object(further)) = (&mut one, other) {
        members.extend(further);
    }
    one
}

fn probe(path: &str, period: u32, failures: u32) -> Value {
    json!({
        "httpGet": { "path": path, "port": "postern-admin" },
        "periodSeconds": period,
        "failureThreshold": failures,
    })
}

fn resources(wanted: &Wanted) -> Value {
    let wanted = &wanted.resources;
    let memory = json!({ "memory": wanted.memory_limit });
    let cpu = wanted.cpu_limit.as_ref().map_or(json!({}), |cpu| json!({ "cpu": cpu }));
    json!({
        "requests": { "cpu": wanted.cpu_request, "memory": wanted.memory_request },
        "limits": both(memory, cpu),
    })
}

fn mounts(wanted: &Wanted) -> Value {
    let mut mounts = vec![
        json!({ "name": CONFIG_VOLUME, "mountPath": "/etc/postern/config", "readOnly": true }),
    ];
    if wanted.tls_secret.is_some() {
        let mount =
            json!({ "name": TLS_VOLUME, "mountPath": "/etc/postern/tls", "readOnly": true });
        mounts.push(mount);
    }
    mounts.into()
}

pub(super) fn volumes(wanted: &Wanted) -> Vec<Value> {
    let file = "postern.yaml";
    let config = match &wanted.source {
        Source::Map(name) => json!({
            "name": CONFIG_VOLUME,
            "configMap": { "name": name, "items": [{ "key": file, "path": file }] },
        }),
        // The pod carries its configuration itself: there is no second object to keep in step.
        Source::Annotations { .. } => {
            let field = format!("metadata.annotations['{CONFIG}']");
            let item = json!({ "path": file, "fieldRef": { "fieldPath": field } });
            json!({ "name": CONFIG_VOLUME, "downwardAPI": { "items": [item] } })
        }
    };
    let tls = wanted
        .tls_secret
        .iter()
        .map(|name| json!({ "name": TLS_VOLUME, "secret": { "secretName": name } }));
    std::iter::once(config).chain(tls).collect()
}

const FILE: &str = "/etc/postern/config/postern.yaml";
/// The image's own, which is nobody on the node.
const USER: u32 = 65532;
