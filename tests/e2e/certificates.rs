//! Tokens that a real authorization server binds to a client's certificate (RFC 8705). It ends TLS
//! itself, so this is also where the gateway fetches an issuer's keys from a private authority.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::net::UnixListener;
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use tempfile::TempDir;

use super::issuers::asking;
use super::{Ground, Provider, Stage};
use crate::harness::{Certificate, wait_until};

/// The stage with https everywhere, and a client that the authorization server knows.
struct Scene {
    stage: Stage,
    client: Client,
}

/// One who shows a certificate.
struct Client {
    certificate: Certificate,
    _directory: TempDir,
}

impl Client {
    /// With an authority of its own, as the authorization server registers it by name.
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let certificate = Certificate::write_for(directory.path(), &["client.example"]);
        Self { certificate, _directory: directory }
    }
}

impl Scene {
    fn set(settings: impl Fn(&Provider) -> String) -> Self {
        let (ground, client) = (Ground::new(), Client::new());
        let own = &ground.certificate;
        let provider = Provider::secured(&ground.resource(), own, &client.certificate);
        let tls = own.setting();
        let tls = tls.strip_suffix('}').unwrap();
        let authority = own.authority.display();
        let further =
            format!("{tls}, client_certificates: asked}}\noutbound: {{ca_file: '{authority}'}}");
        let settings = settings(&provider);
        Self { stage: Stage::on(ground, provider, &further, &settings), client }
    }

    /// A token of this client's passes with its certificate, and with nothing else.
    #[track_caller]
    fn only_its_own_certificate_will_do(&mut self, token: &str) {
        let stage = &mut self.stage;
        let response = stage.call(token, Some(&self.client.certificate));
        assert_eq!(response.status, 200, "{response:?}");
        for part in [r#""kind":"verified""#, r#""client_id":"e2e-certified""#] {
            assert!(response.body.contains(part), "{part} in {response:?}");
        }

        let backend = stage.take_the_backends_place();
        let other = Client::new();
        for (shown, description) in [
            (None, "the token is bound to a client certificate, and this connection showed none"),
            (Some(&other.certificate), "the token is bound to another client certificate"),
        ] {
            let response = stage.call(token, shown);
            assert_eq!(response.status, 401, "{response:?}");
            assert_eq!(
                response.header("www-authenticate"),
                stage.challenge("invalid_token", description)
            );
        }
        assert_eq!(backend.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
        // Had one of them been sent on, it would have come here, as the next one does.
        thread::scope(|scope| {
            let call = scope.spawn(|| stage.call(token, Some(&self.client.certificate)));
            wait_until("the backend is asked", || backend.accept().is_ok());
            drop(backend);
            assert_eq!(call.join().unwrap().status, 502);
        });
    }
}

impl Stage {
    /// Whoever is sent on from now on arrives here, and gets no answer.
    fn take_the_backends_place(&mut self) -> UnixListener {
        self.backend.0.kill().unwrap();
        self.backend.0.wait().unwrap();
        let path = self.ground.socket();
        fs::remove_file(&path).unwrap();
        let listener = UnixListener::bind(path).unwrap();
        listener.set_nonblocking(true).unwrap();
        listener
    }
}

#[test]
fn a_real_authorization_servers_bound_token_is_good_with_its_certificate_and_only_with_it() {
    let mut scene = Scene::set(|_| String::new());
    let provider = &scene.stage.provider;
    for shown in [None, Some(&Client::new().certificate)] {
        assert_eq!(provider.ask_for_a_bound_token(shown).status, 401);
    }
    let token = provider.bound_token(&scene.client.certificate);
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    assert!(claims["cnf"]["x5t#S256"].is_string(), "{claims}");
    scene.only_its_own_certificate_will_do(&token);
}

#[test]
fn an_opaque_token_is_as_bound_as_its_introspection_says() {
    let mut scene = Scene::set(asking);
    let token = scene.stage.provider.bound_token(&scene.client.certificate);
    assert!(!token.contains('.'), "{token} is not opaque");
    scene.only_its_own_certificate_will_do(&token);
}
