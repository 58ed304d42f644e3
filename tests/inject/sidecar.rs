//! What was put in, at work: the configuration that a pod carries starts a real gateway.

use std::fs;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::process::Stdio;

use serde_json::Value;

use super::{inject, pods};
use crate::harness::{Issuer, Process, Upstream, Wire, follow, listening, postern, wait_until};

/// The pod's address here: one more of this machine's own.
const POD: &str = "127.0.0.2";

#[test]
fn the_proxy_takes_the_port_at_the_pods_address_and_the_app_keeps_it_on_loopback() {
    let (issuer, app) = (Issuer::start(), Upstream::start());
    let port = app.address().port();
    let directory = tempfile::tempdir().unwrap();
    let manifest = directory.path().join("pod.yaml");
    let text = fs::read_to_string(super::folder("pods").join("scopes-and-log-level.yaml")).unwrap();
    let text = text.replace("https://auth.example.com", &issuer.url());
    let text = text.replace("8080", &port.to_string()).replace("mcp.example.com", "mcp.example");
    fs::write(&manifest, text.replace("mcp:read  mcp:write", "mcp:read")).unwrap();
    let told = inject(&manifest);
    assert_eq!(told.code, Some(0), "{}", told.notes);
    let pod = pods(&told.manifests).remove(0);
    let config = pod["metadata"]["annotations"]["postern.internal/config"].as_str().unwrap();
    let path = directory.path().join("postern.yaml");
    fs::write(&path, config.replace(":9464", ":0")).unwrap();

    let container = &pod["spec"]["initContainers"][0];
    let arguments = container["args"].as_array().unwrap().iter().map(|word| word.as_str().unwrap());
    let file = "/etc/postern/config/postern.yaml";
    let arguments = arguments.map(|word| if word == file { path.to_str().unwrap() } else { word });
    let mut command = postern();
    command.args(arguments).env_clear().env("POD_IP", POD);
    let mut process = Process(command.stderr(Stdio::piped()).spawn().unwrap());
    let log = follow(&mut process.0);
    let [gateway, admin] = listening(&log);
    assert_eq!(gateway, SocketAddr::new(POD.parse().unwrap(), port));
    let ask = |address, path| Wire::connect(address).request("GET", path, &[], "");
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        let path = container[probe]["httpGet"]["path"].as_str().unwrap();
        wait_until(path, || ask(admin, path).status == 200);
    }
    // The kubelet dials addresses, and says so.
    let probe = format!("GET /healthz HTTP/1.1\r\nHost: {gateway}\r\n\r\n");
    let mut wire = Wire::connect(gateway);
    wire.send(probe);
    assert_eq!(wire.response(false).status, 200);
    assert_eq!(ask(gateway, "/mcp").status, 401);
    app.saw_nothing();
    assert_eq!(Wire::connect(gateway).call(&issuer.token()).status, 200);
    assert_eq!(app.next().values("x-postern-subject"), ["ada"]);

    // An app that wants all addresses does not get them: it cannot be reached past the proxy.
    let everywhere = TcpListener::bind(("0.0.0.0", port)).unwrap_err();
    assert_eq!(everywhere.kind(), ErrorKind::AddrInUse);
}

#[test]
fn a_pod_of_an_ipv6_cluster_has_an_address_that_is_good_too() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("postern.yaml");
    let pod = pods(&inject(&super::folder("pods").join("pod.yaml")).manifests).remove(0);
    let config: &Value = &pod["metadata"]["annotations"]["postern.internal/config"];
    fs::write(&path, config.as_str().unwrap()).unwrap();
    for (address, shown) in [("::1", "http://[::1]:9464/"), ("127.0.0.3", "http://127.0.0.3:9464/")]
    {
        let mut command = postern();
        command.args(["healthcheck", "--config"]).arg(&path).env("POD_IP", address);
        let output = command.output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "nobody is there: {told}");
        assert!(told.contains(shown), "{told}");
    }
}
