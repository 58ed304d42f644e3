//! Who a client is: what it said when it registered, or what stands where its name leads.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::Desk;
use super::refused::Refused;
use super::register::{redirect_uris, shortened};
use crate::config::front::is_same;
use crate::front::seal::{For, Unopened};
use crate::outbound::Failed;

/// What a client's name holds.
#[derive(Serialize, Deserialize)]
pub(super) struct Registered {
    pub(super) uris: Vec<String>,
    pub(super) name: Option<String>,
}

/// A client that is known.
pub(super) struct Client {
    uris: Vec<String>,
    /// What it calls itself. Anybody can call themselves anything.
    pub(super) name: Option<String>,
    /// Where the document about it is: that host is its own.
    pub(super) host: Option<String>,
}

impl Client {
    /// Whether it named this place, and we let people be sent there.
    pub(super) fn may_send_to(&self, desk: &Desk<'_>, uri: &str) -> bool {
        self.uris.iter().any(|listed| is_same(listed, uri)) && desk.may_send_to(uri)
    }
}

impl Desk<'_> {
    /// Whether the operator lets people be sent there, whoever asks.
    pub(super) fn may_send_to(&self, uri: &str) -> bool {
        self.rules.redirect_uris.iter().any(|listed| listed.matches(uri))
    }

    pub(super) async fn client(&self, id: &str) -> Result<Client, Refused> {
        if id.starts_with("https:") {
            return self.described(id).await;
        }
        let to = For { purpose: "client", whom: &[self.origin()] };
        let opened = self.front.seal.open::<Registered>(to, id, self.caller.now);
        match opened {
            Ok(Registered { uris, name }) => Ok(Client { uris, name, host: None }),
            Err(Unopened::Foreign | Unopened::Expired) => Err(Refused::Client),
        }
    }

    /// A client whose name is the address of a document about it
    /// (draft-ietf-oauth-client-id-metadata-document).
    async fn described(&self, id: &str) -> Result<Client, Refused> {
        let url =
            Some(id).filter(|_| self.rules.documents).and_then(document).ok_or(Refused::Client)?;
        // On nobody's behalf: whoever chose the address is a stranger.
        let document = self.front.outbound.get(&url).await.map_err(|why| {
            tracing::warn!(%why, "the document about a client cannot be had");
            match why {
                Failed::Unreachable(_) => Refused::Unavailable,
                Failed::Insecure | Failed::Refused(_) | Failed::Status(_) | Failed::TooLarge => {
                    Refused::Document
                }
            }
        })?;
        if document.body.len() > LARGEST {
            return Err(Refused::Document);
        }
        let told: Value = serde_json::from_slice(&document.body).map_err(|_| Refused::Document)?;
        let is_public =
            told.get("token_endpoint_auth_method").is_none_or(|method| method == "none");
        if told.get("client_id").and_then(Value::as_str) != Some(id) || !is_public {
            return Err(Refused::Document);
        }
        Ok(Client {
            uris: redirect_uris(&told).map_err(|_| Refused::Document)?,
            name: told.get("client_name").and_then(Value::as_str).map(shortened),
            host: url.host_str().map(str::to_owned),
        })
    }
}

/// An address in the one spelling that everybody reads alike.
fn document(id: &str) -> Option<Url> {
    let url = Url::parse(id).ok()?;
    let plain = url.as_str() == id
        && url.scheme() == "https"
        && url.path() != "/"
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    plain.then_some(url)
}

/// The draft advises 5 KB.
const LARGEST: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_an_address_has_one_spelling() {
        assert!(document("https://app.example/client.json").is_some());
        for other in [
            "http://app.example/client.json",
            "https://app.example",
            "https://app.example/",
            "https://APP.example/client.json",
            "https://app.example:443/client.json",
            "https://app.example/../client.json",
            "https://u@app.example/client.json",
            "https://app.example/client.json#x",
            "https:app.example/client.json",
        ] {
            assert!(document(other).is_none(), "{other}");
        }
    }
}
