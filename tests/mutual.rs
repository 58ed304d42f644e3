//! Clients that must show a certificate which an authority has signed, and has not taken back.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{CustomExtension, ExtendedKeyUsagePurpose, date_time_ymd};
use rustls::version::{TLS12, TLS13};
use rustls::{
    ALL_VERSIONS, ClientConfig, ClientConnection, HandshakeKind, StreamOwned,
    SupportedProtocolVersion,
};
use serde_json::json;
use tempfile::TempDir;

use crate::harness::{
    Authority, Certified, ClientCertificate, H2, Identity, Wire, World, postern, replace,
};

const H1: &[&str] = &["http/1.1"];

/// The proxy, an authority that it believes, and what that has signed.
struct Scene {
    identity: Identity,
    world: World,
    authority: Authority,
    client: Certified,
    files: Files,
}

/// Where the proxy reads of whom to believe.
struct Files {
    authorities: PathBuf,
    revoked: PathBuf,
    _directory: TempDir,
}

impl Files {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let [authorities, revoked] = ["ca.pem", "crl.pem"].map(|name| directory.path().join(name));
        Self { authorities, revoked, _directory: directory }
    }
}

impl Scene {
    /// Clients are `asked`, or a certificate is `required`.
    fn start(clients: &str) -> Self {
        Self::with(clients, |_, _| None)
    }

    /// The same, with a list of what is revoked.
    fn with(clients: &str, list: impl FnOnce(&Authority, &Certified) -> Option<String>) -> Self {
        let (identity, authority, files) = (Identity::new(), Authority::new("ours"), Files::new());
        let client = authority.certify();
        fs::write(&files.authorities, &authority.pem).unwrap();
        let lists = match list(&authority, &client) {
            Some(list) => {
                fs::write(&files.revoked, list).unwrap();
                format!(", client_crl_files: ['{}']", files.revoked.display())
            }
            None => String::new(),
        };
        let (settings, authorities) = (identity.settings(), files.authorities.display());
        let settings = settings.strip_suffix('}').unwrap();
        let world = World::with(&format!(
            "{settings}, client_certificates: {clients}, client_ca_files: ['{authorities}']{lists}}}"
        ));
        Self { identity, world, authority, client, files }
    }

    fn client(&self, shown: &ClientCertificate) -> Arc<ClientConfig> {
        self.identity.client_with(shown, H1, ALL_VERSIONS)
    }

    fn connect(&self, client: Arc<ClientConfig>) -> Wire {
        Identity::connect_as(self.world.gateway, client)
    }

    #[track_caller]
    fn lets_in(&self, shown: &ClientCertificate) -> Wire {
        let mut wire = self.connect(self.client(shown));
        assert_eq!(wire.call(&self.world.issuer.token()).status, 200);
        self.world.upstream.next();
        wire
    }

    fn refusals(&self, reason: &str) -> f64 {
        let name = format!("postern_handshakes_failed_total{{reason=\"{reason}\"}}");
        self.world.metric(&name)
    }

    #[track_caller]
    fn shuts_out(&self, client: Arc<ClientConfig>, reason: &str) {
        let before = self.refusals(reason);
        let mut wire = self.connect(client);
        let token = self.world.issuer.token();
        wire.send(format!("GET /mcp HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n"));
        assert_eq!(wire.rest(), "");
        self.world.upstream.saw_nothing();
        let line = self.world.log_line("handshake failed");
        assert!(line.contains(&format!("\"reason\":\"{reason}\"")), "{line}");
        assert!(line.contains("\"peer\":\"127.0.0.1\""), "{line}");
        assert!(self.refusals(reason) > before, "it is counted");
    }
}

#[test]
fn where_one_is_required_only_a_certificate_of_the_authority_opens_a_connection() {
    let scene = Scene::start("required");
    let versions: [&'static SupportedProtocolVersion; 2] = [&TLS12, &TLS13];
    let (foreign, own) = (Authority::new("theirs").certify(), ClientCertificate::new());
    for version in versions {
        let showing = |shown| scene.identity.client_with(shown, H1, &[version]);
        let mut wire = scene.connect(showing(&scene.client.shown));
        assert_eq!(wire.call(&scene.world.issuer.token()).status, 200, "{version:?}");
        scene.world.upstream.next();
        let none = scene.identity.client(H1, &[version]);
        scene.shuts_out(none, "client_certificate_missing");
        scene.shuts_out(showing(&foreign.shown), "client_certificate_unknown_authority");
        scene.shuts_out(showing(&own), "client_certificate_unknown_authority");
        let stolen = showing(&scene.client.shown.stolen());
        scene.shuts_out(stolen, "client_certificate_bad_signature");
    }
    let h2 = scene.identity.client_with(&scene.client.shown, &["h2"], ALL_VERSIONS);
    let mut h2 = H2::connect_as(scene.world.gateway, h2);
    assert_eq!(h2.call(&scene.world.issuer.token()).status, 200);
}

#[test]
fn a_certificate_opens_no_door_that_needs_a_token() {
    let scene = Scene::start("required");
    let mut wire = scene.connect(scene.client(&scene.client.shown));
    assert_eq!(wire.request("POST", "/mcp", &[], "{}").status, 401);
    scene.world.upstream.saw_nothing();
}

#[test]
fn where_one_is_asked_for_none_will_do_and_a_foreign_one_will_not() {
    let scene = Scene::start("asked");
    scene.lets_in(&scene.client.shown);
    let mut none = scene.identity.connect(scene.world.gateway);
    assert_eq!(none.call(&scene.world.issuer.token()).status, 200);
    scene.world.upstream.next();
    let own = ClientCertificate::new();
    scene.shuts_out(scene.client(&own), "client_certificate_unknown_authority");
}

#[test]
fn a_token_is_bound_to_a_certificate_of_the_authority_as_to_any_other() {
    let scene = Scene::start("asked");
    let world = &scene.world;
    let confirmation = json!({ "x5t#S256": scene.client.shown.thumbprint() });
    let token = world.issuer.key.sign(&world.issuer.claims().set("cnf", confirmation));
    let call = |shown: &ClientCertificate| scene.connect(scene.client(shown)).call(&token).status;
    assert_eq!(call(&scene.client.shown), 200);
    assert_eq!(call(&scene.authority.certify().shown), 401);
    assert_eq!(scene.identity.connect(world.gateway).call(&token).status, 401);
}

#[test]
fn a_self_signed_certificate_is_believed_where_it_is_listed_itself() {
    let scene = Scene::start("required");
    let (listed, other) = (ClientCertificate::new(), ClientCertificate::new());
    let pem = |one: &ClientCertificate| {
        use base64::Engine as _;
        let text = base64::engine::general_purpose::STANDARD.encode(&one.chain[0]);
        format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
    };
    replace(&scene.files.authorities, &pem(&listed));
    scene.world.log_line("authorities of clients taken over");
    scene.lets_in(&listed);
    // Of the same name, and so it says that the listed one has signed it.
    scene.shuts_out(scene.client(&other), "client_certificate_bad_signature");
}

#[test]
fn what_is_out_of_date_or_for_something_else_is_refused_and_what_is_odd_is_read() {
    let scene = Scene::start("required");
    let expired = scene.authority.certify_with(|it| {
        (it.not_before, it.not_after) = (date_time_ymd(2019, 1, 1), date_time_ymd(2020, 1, 1));
    });
    scene.shuts_out(scene.client(&expired.shown), "client_certificate_expired");
    let early = scene.authority.certify_with(|it| {
        (it.not_before, it.not_after) = (date_time_ymd(2120, 1, 1), date_time_ymd(2121, 1, 1));
    });
    scene.shuts_out(scene.client(&early.shown), "client_certificate_not_valid_yet");
    let server = scene.authority.certify_with(|it| {
        it.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
    scene.shuts_out(scene.client(&server.shown), "client_certificate_other_purpose");
    let odd = |critical| {
        scene.authority.certify_with(|it| {
            let mut extension =
                CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![0x05, 0]);
            extension.set_criticality(critical);
            it.custom_extensions = vec![extension];
        })
    };
    scene.shuts_out(scene.client(&odd(true).shown), "client_certificate_unusable");
    scene.lets_in(&odd(false).shown);
}

#[test]
fn a_revoked_certificate_opens_no_further_connection_and_no_session_is_taken_up_again() {
    let scene = Scene::with("required", |authority, _| Some(authority.list(&[], 30)));
    let versions: [&'static SupportedProtocolVersion; 2] = [&TLS12, &TLS13];
    let known = versions.map(|version| {
        let known = scene.identity.client_with(&scene.client.shown, H1, &[version]);
        for _ in 0..2 {
            let mut wire = fully(&scene, &known);
            assert_eq!(wire.call(&scene.world.issuer.token()).status, 200, "{version:?}");
            scene.world.upstream.next();
        }
        known
    });
    let mut open = scene.lets_in(&scene.client.shown);
    replace(&scene.files.revoked, &scene.authority.list(&[&scene.client], 30));
    scene.world.log_line("authorities of clients taken over");
    for known in known {
        scene.shuts_out(known, "client_certificate_revoked");
    }
    assert_eq!(open.call(&scene.world.issuer.token()).status, 200, "who is there stays");
    scene.world.upstream.next();
    scene.lets_in(&scene.authority.certify().shown);
}

/// Connects, and checks that the whole handshake was made.
#[track_caller]
fn fully(scene: &Scene, client: &Arc<ClientConfig>) -> Wire {
    let mut tls = ClientConnection::new(Arc::clone(client), Identity::name()).unwrap();
    Wire::through(scene.world.gateway, |mut socket| {
        while tls.is_handshaking() {
            tls.complete_io(&mut socket).unwrap();
        }
        assert_eq!(tls.handshake_kind(), Some(HandshakeKind::Full));
        Box::new(StreamOwned::new(tls, socket))
    })
}

#[test]
fn a_list_that_is_too_old_and_one_that_is_missing_let_nobody_in_and_are_told() {
    let scene = Scene::with("asked", |authority, _| Some(authority.list(&[], -2)));
    assert!(scene.world.log_line("past its next update").contains("ERROR"));
    let file = scene.files.revoked.display();
    let expiry = format!("postern_crl_expiry_timestamp_seconds{{file=\"{file}\"}}");
    let age =
        f64::from(u32::try_from(crate::harness::now()).unwrap()) - scene.world.metric(&expiry);
    assert!((86400.0..4.0 * 86400.0).contains(&age), "{age}");
    scene.shuts_out(scene.client(&scene.client.shown), "client_crl_expired");
    let mut none = scene.identity.connect(scene.world.gateway);
    assert_eq!(none.call(&scene.world.issuer.token()).status, 200, "who shows none needs no list");
    scene.world.upstream.next();

    // Another authority's list says nothing of ours.
    replace(&scene.files.revoked, &Authority::new("theirs").list(&[], 30));
    scene.world.log_line("authorities of clients taken over");
    scene.shuts_out(scene.client(&scene.client.shown), "client_certificate_status_unknown");
    replace(&scene.files.revoked, &scene.authority.list(&[], 30));
    scene.world.log_line("authorities of clients taken over");
    scene.lets_in(&scene.client.shown);
}

#[test]
fn authorities_are_swapped_all_or_none() {
    let scene = Scene::with("required", |authority, _| Some(authority.list(&[], 30)));
    let other = Authority::new("theirs");
    let foreign = other.certify();
    let current = |path: &PathBuf| {
        scene.world.metric(&format!("postern_certificate_current{{file=\"{}\"}}", path.display()))
    };
    let Files { authorities, revoked, .. } = &scene.files;
    assert!(current(authorities) > 0.5 && current(revoked) > 0.5);
    for spoilt in ["", "-----BEGIN CERTIFICATE-----\nbm9uZQ==\n-----END CERTIFICATE-----\n"] {
        replace(authorities, spoilt);
        let line = scene.world.log_line("authorities of clients unchanged");
        assert!(line.contains(&authorities.display().to_string()), "{line}");
        assert!(current(authorities) < 0.5 && current(revoked) < 0.5);
        scene.lets_in(&scene.client.shown);
        scene.shuts_out(scene.client(&foreign.shown), "client_certificate_unknown_authority");
    }
    replace(revoked, "no list");
    replace(authorities, &other.pem);
    let line = scene.world.log_line("authorities of clients unchanged");
    assert!(line.contains(&revoked.display().to_string()), "{line}");
    scene.lets_in(&scene.client.shown);
    replace(revoked, &(scene.authority.list(&[], 30) + &other.list(&[], 30)));
    scene.world.log_line("authorities of clients taken over");
    assert!(current(authorities) > 0.5 && current(revoked) > 0.5);
    scene.lets_in(&foreign.shown);
    scene.shuts_out(scene.client(&scene.client.shown), "client_certificate_unknown_authority");
}

#[test]
fn without_its_files_nothing_starts() {
    let scene = Scene::with("required", |authority, _| Some(authority.list(&[], -2)));
    let config = scene.world.path.clone();
    let says = |arguments: &[&str]| {
        let mut command = postern();
        command.arg("validate").arg("--config").arg(&config).args(arguments);
        let said = command.output().unwrap();
        let text = [said.stdout, said.stderr].concat();
        (said.status.code(), String::from_utf8(text).unwrap())
    };
    let (code, said) = says(&["--online"]);
    assert_eq!(code, Some(69), "{said}");
    assert!(said.contains("tls.client_ca_files"), "{said}");
    assert!(said.contains("it was to be replaced"), "{said}");
    for (file, content) in [(&scene.files.revoked, "-"), (&scene.files.authorities, "-")] {
        fs::write(file, content).unwrap();
        let (code, said) = says(&[]);
        assert_eq!(code, Some(78), "{said}");
        assert!(said.contains(&file.display().to_string()), "{said}");
    }
    fs::remove_file(&scene.files.authorities).unwrap();
    let (_, said) = says(&[]);
    assert!(said.contains("it cannot be read"), "{said}");
}
