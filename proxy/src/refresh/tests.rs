//! The worker, over a file that comes and goes.

use std::fs;
use std::path::Path;

use super::*;
use crate::config::{Config, OutboundRules};
use crate::keys::Keyring;

const KEY: &str = r#"{"kty":"EC","crv":"P-256","kid":"ID","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;

fn write(path: &Path, id: &str) {
    let fresh = path.with_extension("fresh");
    fs::write(&fresh, format!("{{\"keys\":[{}]}}", KEY.replace("ID", id))).unwrap();
    fs::rename(fresh, path).unwrap();
}

/// An issuer whose keys are in a file, and whose keys go after `max_age` without it.
fn holder(path: &Path, max_age: Duration) -> KeyHolder {
    let text = format!(
        "tls: off\nresource: {{url: 'https://mcp.example/mcp'}}\nupstream: {{address: 'unix:/b'}}\n\
         issuers: [{{issuer: 'https://id.example', keys: {{file: '{}'}}}}]",
        path.display()
    );
    let mut config = Config::parse(&text).unwrap();
    let mut issuer = config.rules.issuers.remove(0);
    issuer.keys_max_age = max_age;
    KeyHolder { issuer, keyring: Arc::new(Keyring::default()) }
}

#[tokio::test]
async fn keys_that_nobody_vouches_for_any_more_go_and_come_back_as_new_ones() {
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("jwks.json");
    write(&path, "1");
    let holder = holder(&path, Duration::from_secs(2));
    let outbound = Outbound::new(&OutboundRules::default()).unwrap();
    let recorder = Recorder::new().unwrap();
    let mut tasks = JoinSet::new();
    let refreshers =
        Refreshers::start(std::slice::from_ref(&holder), &outbound, &recorder, &mut tasks);
    let mut changes = refreshers.changes();

    changes.wait_for(|ticks| *ticks == 1).await.unwrap();
    let first = holder.keyring.current().unwrap().generation();
    let removed = Instant::now();
    fs::remove_file(&path).unwrap();
    changes.wait_for(|ticks| *ticks == 2).await.unwrap();
    assert!(holder.keyring.is_emptied());
    // It may have been read for the last time shortly before it went.
    assert!(removed.elapsed() <= Duration::from_secs(4), "{:?}", removed.elapsed());

    write(&path, "1");
    changes.wait_for(|ticks| *ticks == 3).await.unwrap();
    assert!(holder.keyring.current().unwrap().generation() > first);
}
