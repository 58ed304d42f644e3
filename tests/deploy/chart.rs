//! The Helm chart, over values of all kinds, and the manifests that are made of it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde::Deserialize as _;
use serde_json::{Value, json};

use super::{Started, all, fails, passes, read, root, tool};

const CHART: &str = "deploy/helm/postern";

/// Kinds whose schemas are not Kubernetes' own, or which have none.
const FOREIGN: [&str; 8] = [
    "Certificate",
    "HTTPRoute",
    "Issuer",
    "List",
    "PodMonitor",
    "PrometheusRule",
    "Rollout",
    "ServiceMonitor",
];

fn helm(arguments: &[&str]) -> Command {
    let mut helm = tool("helm");
    helm.args(arguments);
    helm
}

fn template(values: &str, further: &[&str]) -> Command {
    let values = format!("{CHART}/ci/{values}-values.yaml");
    let mut helm = helm(&["template", "postern", CHART, "--namespace", "postern"]);
    helm.args(["--kube-version", "1.34", "--values", &values]).args(further);
    helm
}

fn objects(text: &str) -> Vec<Value> {
    let documents = serde_yaml::Deserializer::from_str(text);
    let objects = documents.map(|document| Value::deserialize(document).unwrap());
    objects.filter(|object| !object.is_null()).collect()
}

fn find<'o>(objects: &'o [Value], kind: &str, name: &str) -> &'o Value {
    let mut named = objects.iter().filter(|object| object["metadata"]["name"] == name);
    named.find(|object| object["kind"] == kind).unwrap_or_else(|| panic!("no {kind} {name}"))
}

/// Every object is what Kubernetes' own schema says, without a field that it does not know.
#[track_caller]
fn is_valid(files: &[PathBuf]) {
    let told = tool("kubernetes-validate").arg("--strict").args(files).output().unwrap();
    let told = [told.stdout, told.stderr].concat();
    let told = String::from_utf8(told).unwrap();
    let foreign = |line: &str| FOREIGN.iter().any(|kind| line.contains(&format!("kind {kind} ")));
    let ours = |line: &&str| !line.starts_with("INFO") && !foreign(line);
    let bad: Vec<_> = told.lines().filter(ours).collect();
    assert!(bad.is_empty(), "{}", bad.join("\n"));
    assert!(told.contains("passed"), "nothing was looked at: {told}");
}

#[test]
fn it_is_clean_and_makes_valid_objects_whatever_the_values() {
    let directory = tempfile::tempdir().unwrap();
    let mut rendered = Vec::new();
    for values in all("helm/postern/ci", "-values.yaml") {
        let path = values.to_str().unwrap();
        passes(&mut helm(&["lint", "--strict", CHART, "--values", path]));
        for (index, further) in [
            &[][..],
            &["--set", "gateway.autoscaling.enabled=true"],
            &["--set", "gateway.podDisruptionBudget.enabled=false"],
            &["--set", "gateway.networkPolicy.enabled=true"],
            &["--set", "gateway.tls.secretName=a,gateway.existingSecret=b"],
            &["--set", "image.digest=sha256:0000000000000000000000000000000000000000000000000000000000000000"],
            &["--set", "monitoring.rules.enabled=true,serviceAccount.create=false"],
            &["--set", "gateway.httpRoute.enabled=true,gateway.httpRoute.parentRefs[0].name=public"],
        ]
        .into_iter()
        .enumerate()
        {
            let name = values.file_stem().unwrap().to_str().unwrap();
            let name = name.strip_suffix("-values").unwrap();
            let file = directory.path().join(format!("{name}-{index}.yaml"));
            fs::write(&file, passes(&mut template(name, further))).unwrap();
            rendered.push(file);
        }
    }
    is_valid(&rendered);
}

#[test]
fn values_that_make_no_sense_are_refused_in_words() {
    for (set, told) in [
        ("gateway.replicsa=3", "'replicsa' not allowed"),
        ("gateway.replicas=many", "got string, want integer"),
        ("gateway.settings.issuers=null", "missing property 'issuers'"),
        ("gateway.settings.tls=off", "gateway.settings.tls is the chart's"),
        ("gateway.httpRoute.enabled=true", "name the Gateway that the route is for"),
        (
            "monitoring.serviceMonitor.enabled=true,monitoring.podMonitor.enabled=true",
            "everything would be counted twice",
        ),
        (
            "injector.enabled=true,injector.certificate.certManager=false",
            "set certManager, or name",
        ),
        ("injector.enabled=true,injector.certificate.secretName=a", "say who signed it"),
        ("image.digest=sha256:0", "does not match pattern"),
    ] {
        let complaint = fails(&mut template("gateway", &["--set", set]));
        assert!(complaint.contains(told), "{set}: {complaint}");
    }
}

#[test]
fn the_manifests_are_what_it_makes() {
    for name in ["gateway", "injector"] {
        let rendered = passes(&mut template(name, &["--skip-tests"]));
        assert!(
            rendered == read(&format!("kubernetes/{name}.yaml")),
            "deploy/kubernetes/{name}.yaml is old: its README says how to make it"
        );
    }
    is_valid(&all("kubernetes", ".yaml"));
}

#[test]
fn pods_with_the_injected_proxy_are_valid() {
    let golden = fs::read_dir(root().join("tests/inject/golden")).unwrap();
    let golden = golden.map(|entry| entry.unwrap().path());
    let golden: Vec<_> = golden.filter(|path| path.extension().unwrap() == "yaml").collect();
    assert!(golden.len() >= 30, "{} files", golden.len());
    is_valid(&golden);
}

#[test]
fn its_settings_start_a_gateway() {
    let objects = objects(&passes(&mut template("gateway", &[])));
    let settings = find(&objects, "ConfigMap", "postern")["data"]["postern.yaml"].as_str().unwrap();
    let started = Started::with(settings);
    let claims = json!({
        "iss": "https://auth.example.com", "aud": "https://mcp.example/mcp", "sub": "ada",
        "client_id": "c", "scope": "mcp:read",
    });
    assert_eq!(started.call(Some("at+jwt"), claims), 200);
}

#[test]
fn nothing_in_it_is_root_or_can_become_it() {
    for values in ["gateway", "everything", "injector"] {
        for object in objects(&passes(&mut template(values, &[]))) {
            let pod = match object["kind"].as_str() {
                Some("Deployment") => &object["spec"]["template"]["spec"],
                Some("Pod") => &object["spec"],
                _ => continue,
            };
            assert_eq!(pod["automountServiceAccountToken"], false);
            for container in pod["containers"].as_array().unwrap() {
                let context = &container["securityContext"];
                assert_eq!(context["runAsUser"], 65532, "{container}");
                assert_eq!(context["readOnlyRootFilesystem"], true);
                assert_eq!(context["allowPrivilegeEscalation"], false);
                assert_eq!(context["capabilities"]["drop"], json!(["ALL"]));
                assert_eq!(context["seccompProfile"]["type"], "RuntimeDefault");
            }
        }
    }
}

/// Only pods that ask wait for it, and never those that it needs itself.
#[test]
fn the_webhook_cannot_lock_a_cluster_up() {
    let objects = objects(&passes(&mut template("injector", &[])));
    let webhook = find(&objects, "MutatingWebhookConfiguration", "postern-postern-injector");
    let [webhook] = &**webhook["webhooks"].as_array().unwrap() else { panic!("one webhook") };
    assert_eq!(webhook["rules"][0]["resources"], json!(["pods"]));
    assert_eq!(webhook["rules"][0]["operations"], json!(["CREATE"]));
    let condition = webhook["matchConditions"][0]["expression"].as_str().unwrap();
    assert!(condition.contains("'postern.internal/inject' in object.metadata.annotations"));
    let excluded =
        webhook["namespaceSelector"]["matchExpressions"][1]["values"].as_array().unwrap();
    for namespace in ["kube-system", "cert-manager", "postern"] {
        assert!(excluded.iter().any(|value| value == namespace), "{namespace}: {excluded:?}");
    }
    assert!(webhook["timeoutSeconds"].as_u64().unwrap() <= 5);
    assert_eq!(webhook["clientConfig"]["service"]["path"], "/inject");
    let deployment = find(&objects, "Deployment", "postern-injector");
    assert_eq!(deployment["spec"]["replicas"], 2);
    find(&objects, "PodDisruptionBudget", "postern-injector");
}
