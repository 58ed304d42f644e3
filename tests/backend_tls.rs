//! A backend that is spoken to over TLS.

use std::fs;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use crate::harness::{Certificate, Issuer, TlsRelay, Upstream, World, postern};

/// The proxy, and TLS in front of its backend.
struct Scene {
    world: World,
    relay: TlsRelay,
    backend: Upstream,
    certificate: Certificate,
    directory: TempDir,
}

impl Scene {
    /// `tls`: what else is in the section, made with a folder for files. `clients`: whose the relay wants to see.
    fn start(names: &[&str], days: i64, tls: impl FnOnce(&Path) -> (String, bool)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let own = directory.path().join("own");
        fs::create_dir(&own).unwrap();
        let certificate = Certificate::write_until(directory.path(), names, days);
        let (settings, wants) = tls(&own);
        let clients = wants.then(|| own.join("ca.pem"));
        let backend = Upstream::start();
        let relay = TlsRelay::start(&certificate, clients.as_deref(), backend.address());
        let authority = directory.path().join("believed.pem");
        fs::copy(&certificate.authority, &authority).unwrap();
        let world = World::with(&format!(
            "upstream: {{address: '{}', tls: {{ca_file: '{}'{settings}}}}}",
            relay.address,
            authority.display()
        ));
        Self { world, relay, backend, certificate, directory }
    }

    fn simple(names: &[&str], days: i64, settings: &str) -> Self {
        Self::start(names, days, |_| (settings.to_owned(), false))
    }

    fn believe(&self, authority: &Path) {
        let new = self.directory.path().join("new.pem");
        fs::copy(authority, &new).unwrap();
        fs::rename(new, self.directory.path().join("believed.pem")).unwrap();
        self.world.log_line("upstream certificates");
    }

    #[track_caller]
    fn passes(&self) {
        assert_eq!(self.world.call(&self.world.issuer.token()).status, 200);
        self.backend.next();
    }

    #[track_caller]
    fn fails(&self, code: &str) {
        let answer = self.world.call(&self.world.issuer.token());
        assert!(matches!(answer.status, 502 | 503), "{answer:?}");
        assert!(!answer.body.contains("certificate"), "that is for the operator: {answer:?}");
        let line = self.world.log_line("\"outcome\":");
        assert!(line.contains(&format!("\"outcome\":\"{code}\"")), "{line}");
        self.backend.saw_nothing();
    }

    fn connections(&self) -> usize {
        std::iter::from_fn(|| self.relay.names.try_recv().ok()).count()
    }
}

#[test]
fn a_backend_is_spoken_to_over_tls_and_its_connection_kept() {
    let scene = Scene::simple(&["127.0.0.1"], 30, "");
    // One that was used a moment ago may not have been put back yet.
    for _ in 0..6 {
        scene.passes();
    }
    let connections = scene.connections();
    assert!((1..6).contains(&connections), "{connections}");
    let scene = Scene::simple(&["backend.example"], 30, ", server_name: backend.example");
    scene.passes();
    let name = scene.relay.names.recv_timeout(Duration::from_secs(5)).unwrap();
    assert_eq!(name.as_deref(), Some("backend.example"));
}

#[test]
fn one_that_is_not_who_it_should_be_hears_nothing_and_the_log_says_why() {
    let scene = Scene::simple(&["other.example"], 30, ", server_name: backend.example");
    scene.fails("upstream_tls_name");
    let scene = Scene::simple(&["other.example"], 30, "");
    scene.fails("upstream_tls_name");
    let scene = Scene::simple(&["127.0.0.1"], -3, "");
    scene.fails("upstream_tls_expired");
    let scene = Scene::simple(&["127.0.0.1"], 30, "");
    let other = tempfile::tempdir().unwrap();
    let other = Certificate::write(other.path());
    scene.believe(&other.authority);
    scene.fails("upstream_tls_authority");
}

#[test]
fn a_backend_that_speaks_no_tls_hears_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let certificate = Certificate::write(directory.path());
    let backend = Upstream::start();
    let world = World::with(&format!(
        "upstream: {{address: '{}', tls: {{ca_file: '{}'}}}}",
        backend.address(),
        certificate.authority.display()
    ));
    assert_eq!(world.call(&world.issuer.token()).status, 502);
    assert!(world.log_line("\"outcome\":").contains("\"upstream_tls\""));
}

#[test]
fn whom_to_believe_is_swapped_and_no_connection_from_before_is_used_again() {
    let scene = Scene::simple(&["127.0.0.1"], 30, "");
    scene.passes();
    let directory = tempfile::tempdir().unwrap();
    let other = Certificate::write(directory.path());
    scene.believe(&other.authority);
    scene.fails("upstream_tls_authority");
    let spoilt = directory.path().join("spoilt");
    fs::write(&spoilt, "no certificate").unwrap();
    scene.believe(&spoilt);
    scene.fails("upstream_tls_authority");
    scene.believe(&scene.certificate.authority);
    scene.passes();
}

#[test]
fn a_backend_that_wants_to_know_who_comes_is_shown_a_certificate() {
    let scene = Scene::start(&["127.0.0.1"], 30, |folder| {
        Certificate::write(folder);
        (String::new(), true)
    });
    assert!(matches!(scene.world.call(&scene.world.issuer.token()).status, 502 | 503));
    scene.backend.saw_nothing();

    let scene = Scene::start(&["127.0.0.1"], 30, |folder| {
        let own = Certificate::write(folder);
        let (chain, key) = (own.chain.display(), own.key.display());
        (format!(", certificate: '{chain}', key: '{key}'"), true)
    });
    scene.passes();
}

#[test]
fn what_cannot_be_used_keeps_it_from_starting_and_what_is_not_there_is_told_online() {
    let directory = tempfile::tempdir().unwrap();
    let certificate = Certificate::write_for(directory.path(), &["other.example"]);
    let (backend, issuer) = (Upstream::start(), Issuer::start());
    let relay = TlsRelay::start(&certificate, None, backend.address());
    let says = |authority: &Path, arguments: &[&str]| {
        let config = directory.path().join("postern.yaml");
        let text = format!(
            "tls: off\nresource: {{url: 'https://mcp.example/mcp'}}\nissuers: [{{issuer: '{}'}}]\n\
             upstream: {{address: '{}', tls: {{ca_file: '{}'}}}}\n",
            issuer.url(),
            relay.address,
            authority.display()
        );
        fs::write(&config, text).unwrap();
        let mut command = postern();
        command.arg("validate").arg("--config").arg(&config).args(arguments);
        let said = command.output().unwrap();
        (said.status.code(), String::from_utf8([said.stdout, said.stderr].concat()).unwrap())
    };
    let (code, said) = says(&certificate.authority, &["--online"]);
    assert_eq!(code, Some(69), "{said}");
    assert!(said.contains("upstream_tls_name"), "{said}");
    let (code, said) = says(Path::new("/nowhere/ca.pem"), &[]);
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("/nowhere/ca.pem"), "{said}");
}
