//! Clients whose names lead to documents about them, and where such a name may not lead.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use axum::Router;
use axum::http::Uri;
use axum::routing::get;
use serde_json::json;

use super::program::{Page, Program};
use super::{is_a_page, on};
use crate::harness::{Certificate, TlsListener, World};

const HOME: &str = "http://127.0.0.1:5000/callback";

/// A web server that a client's author runs.
struct Author {
    address: SocketAddr,
    certificate: Certificate,
    asked: Arc<AtomicUsize>,
    _directory: tempfile::TempDir,
}

impl Author {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let certificate = Certificate::write(directory.path());
        let tls = TlsListener::acceptor(&certificate);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&asked);
        let answer = move |uri: Uri| {
            counted.fetch_add(1, Ordering::SeqCst);
            let (own, evil) = (format!("https://{address}{}", uri.path()), "https://evil.example");
            let good = json!({
                "client_id": own, "client_name": "Documented", "redirect_uris": [HOME],
                "token_endpoint_auth_method": "none",
            });
            let mut told = good;
            match uri.path() {
                "/others" => told["client_id"] = evil.into(),
                "/greedy" => told["redirect_uris"] = json!([evil]),
                "/secret" => told["token_endpoint_auth_method"] = "client_secret_basic".into(),
                "/large" => told["x"] = "x".repeat(80_000).into(),
                _ => (),
            }
            let told = if uri.path() == "/page" { "<html>".to_owned() } else { told.to_string() };
            async move { told }
        };
        thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                listener.set_nonblocking(true).unwrap();
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                let router = Router::new().fallback(get(answer));
                axum::serve(TlsListener { listener, tls }, router).await.unwrap();
            });
        });
        Self { address, certificate, asked, _directory: directory }
    }

    fn client(&self, path: &str) -> Program {
        Program { id: format!("https://{}{path}", self.address), redirect_uri: HOME.into() }
    }

    /// A gateway that may dial it, if `networks` has it.
    fn world(&self, networks: &str) -> World {
        let file = self.certificate.authority.display();
        let outbound = format!("outbound: {{ca_file: '{file}', allow_networks: [{networks}]}}");
        World::with(&format!("{outbound}\n{}", on()))
    }
}

#[test]
fn a_client_may_be_named_by_the_address_of_a_document_about_it() {
    let author = Author::start();
    let world = author.world("127.0.0.0/8");
    let program = author.client("/client.json");
    let page = Page::of(program.authorize(&world, &[]));
    assert!(page.shown.body.contains("Documented"), "{}", page.shown.body);
    assert!(page.shown.body.contains("It belongs to <code>127.0.0.1</code>"));
    let answer = json!({"access_token": "a", "token_type": "Bearer"});
    let code = program.code(&world, "c", &answer);
    assert_eq!(program.redeem(&world, &code, &[]).status, 200);
    let stranger = author.client("/other.json");
    let code = program.code(&world, "d", &answer);
    assert_eq!(stranger.redeem(&world, &code, &[]).status, 400);
}

#[test]
fn a_document_is_about_its_own_address_and_no_more_than_is_listed() {
    let author = Author::start();
    let world = author.world("127.0.0.0/8");
    for path in ["/others", "/secret", "/large", "/page"] {
        let response = author.client(path).authorize(&world, &[]);
        is_a_page(&response, 400, "document about this client");
    }
    let evil = [("redirect_uri", "https://evil.example")];
    is_a_page(&author.client("/greedy").authorize(&world, &evil), 400, "may not have people sent");
    assert_eq!(author.asked.load(Ordering::SeqCst), 5);
}

#[test]
fn strangers_do_not_make_us_knock_on_doors_that_only_we_can_reach() {
    let author = Author::start();
    let world = author.world("");
    let port = author.address.port();
    let issuer = world.issuer.url();
    let asked = world.issuer.asked();
    for id in [
        format!("https://127.0.0.1:{port}/client.json"),
        format!("https://localhost:{port}/client.json"),
        "https://169.254.169.254/latest/meta-data".into(),
        "https://10.0.0.1/client.json".into(),
        "https://[::1]/client.json".into(),
        "https://[::ffff:127.0.0.1]/client.json".into(),
        format!("http://127.0.0.1:{port}/client.json"),
        format!("{issuer}/.well-known/openid-configuration"),
        "file:///etc/passwd".into(),
        "https://user@127.0.0.1/x".into(),
    ] {
        let program = Program { id: id.clone(), redirect_uri: HOME.into() };
        let response = program.authorize(&world, &[]);
        assert_eq!(response.status, 400, "{id}");
        assert!(!response.body.contains("127.0.0.1"), "{}", response.body);
    }
    assert_eq!(author.asked.load(Ordering::SeqCst), 0);
    assert_eq!(world.issuer.asked(), asked);
}

#[test]
fn documents_may_be_left_unread() {
    let author = Author::start();
    let world = author.world("127.0.0.0/8");
    let off = on().replace("facade: {", "facade: {client_documents: false, ");
    let file = author.certificate.authority.display();
    let settings = format!("outbound: {{ca_file: '{file}', allow_networks: [127.0.0.0/8]}}\n{off}");
    drop(world);
    let world = World::with(&settings);
    let response = author.client("/client.json").authorize(&world, &[]);
    is_a_page(&response, 400, "must register again");
    assert_eq!(author.asked.load(Ordering::SeqCst), 0);
}
