//! The worker, and keys that nobody can be asked about any more.

use std::fs;
use std::path::Path;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::*;
use crate::config::{Config, OutboundRules, Source};
use crate::pipeline::token::Digest;

const KEY: &str = r#"{"kty":"EC","crv":"P-256","kid":"ID","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;

fn write(path: &Path, id: &str) {
    let fresh = path.with_extension("fresh");
    fs::write(&fresh, set(id)).unwrap();
    fs::rename(fresh, path).unwrap();
}

fn set(id: &str) -> String {
    format!("{{\"keys\":[{}]}}", KEY.replace("ID", id))
}

/// An issuer whose keys are at `source`, and go when that says nothing for `max_age`.
fn holder(source: &str, max_age: Duration) -> KeyHolder {
    let text = format!(
        "tls: off\nresource: {{url: 'https://mcp.example/mcp'}}\nupstream: {{address: 'unix:/b'}}\n\
         issuers: [{{issuer: 'https://id.example', keys: {{{source}}}}}]",
    );
    let mut config = Config::parse(&text).unwrap();
    let mut issuer = config.rules.issuers.remove(0);
    issuer.keys_max_age = max_age;
    KeyHolder { issuer, keyring: Arc::default(), endpoint: Arc::default() }
}

/// Tells of changes of its keys.
fn start(holder: &KeyHolder, tasks: &mut JoinSet<()>) -> watch::Receiver<u64> {
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let outbound = Outbound::new(&OutboundRules::default()).unwrap();
    let recorder = Recorder::new().unwrap();
    let Source::Keys(place) = &holder.issuer.source else { panic!("it has keys") };
    let refresh = Refresh::new(outbound, recorder);
    drop(refresh.start(holder, place, tasks));
    refresh.changes()
}

#[tokio::test]
async fn keys_that_nobody_vouches_for_any_more_go_and_come_back_as_new_ones() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jwks.json");
    write(&path, "1");
    let holder = holder(&format!("file: '{}'", path.display()), Duration::from_secs(2));
    let mut tasks = JoinSet::new();
    let mut changes = start(&holder, &mut tasks);

    changes.wait_for(|ticks| *ticks == 1).await.unwrap();
    let first = holder.keyring.current().unwrap().generation();
    fs::remove_file(&path).unwrap();
    changes.wait_for(|ticks| *ticks == 2).await.unwrap();
    assert!(holder.keyring.is_emptied());

    write(&path, "1");
    changes.wait_for(|ticks| *ticks == 3).await.unwrap();
    assert!(holder.keyring.current().unwrap().generation() > first);
}

#[tokio::test]
async fn keys_go_on_time_though_the_issuer_keeps_us_waiting() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let source = format!("url: 'http://{}'", listener.local_addr().unwrap());
    let holder = holder(&source, Duration::from_secs(1));
    let mut tasks = JoinSet::new();
    let mut changes = start(&holder, &mut tasks);

    let _first = serve(&listener).await;
    changes.wait_for(|ticks| *ticks == 1).await.unwrap();
    let published = Instant::now();
    // The next look is on a connection that nobody takes.
    changes.wait_for(|ticks| *ticks == 2).await.unwrap();
    assert!(holder.keyring.is_emptied());
    assert!(published.elapsed() < Duration::from_secs(4), "{:?}", published.elapsed());
}

#[tokio::test]
async fn keys_of_an_issuer_that_answers_never_go() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let source = format!("url: 'http://{}'", listener.local_addr().unwrap());
    let holder = holder(&source, Duration::from_secs(1));
    let mut tasks = JoinSet::new();
    let changes = start(&holder, &mut tasks);
    for _ in 0..5 {
        let look = timeout(Duration::from_secs(5), serve(&listener));
        drop(look.await.expect("a look, before the keys are too old"));
    }
    assert_eq!(*changes.borrow(), 1);
}

#[tokio::test]
async fn a_look_waits_until_all_issuers_together_may_have_one() {
    let gauges = Recorder::new().unwrap().keys("https://id.example");
    let (bell, watchman) = Bell::new(Arc::default(), gauges);
    let now = Instant::now();
    let everybody = Mutex::new(Budget::of_all(now));
    while everybody.lock().await.next() <= now {
        everybody.lock().await.spend(now);
    }
    let earned = everybody.lock().await.next();
    let mut own = Budget::of_one(now);
    let mark = Digest::of(b"1");
    tokio::select! {
        _ = bell.look_again(mark) => panic!("nobody has looked"),
        () = called(&watchman, &mut own, &everybody) => assert!(Instant::now() >= earned),
    }
}

/// Answers one look.
async fn serve(listener: &TcpListener) -> TcpStream {
    let (mut connection, _) = listener.accept().await.unwrap();
    let set = set("1");
    let head = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}", set.len());
    // The whole request first: what is not read would be a reset.
    let mut read = [0; 4096];
    while !read.windows(4).any(|end| end == b"\r\n\r\n") {
        assert!(connection.read(&mut read).await.unwrap() > 0);
    }
    connection.write_all(format!("{head}\r\n\r\n{set}").as_bytes()).await.unwrap();
    connection
}
