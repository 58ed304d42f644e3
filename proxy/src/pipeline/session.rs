//! Sessions belong to whoever began them. The client holds the upstream's session id sealed together
//! with its caller's name: nobody else can use it, and nobody here must remember it.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::authorize::{Permit, Ruling};
use super::token::Principal;
use crate::config::{Resource, Secret};

/// Seals and opens the session ids of one site.
pub(super) struct Sessions {
    /// The first seals, all open: so keys can be changed while sessions last.
    keys: Box<[LessSafeKey]>,
    resource: Box<str>,
}

impl Sessions {
    /// Without shared keys, under one of this process's own.
    pub(super) fn new(resource: &Resource, shared: &[Secret], own: &[u8]) -> Self {
        let shared = shared.iter().map(|key| key.expose().as_bytes());
        let own = Some(own).filter(|_| shared.len() == 0);
        // All lengths are constants, so that none is left out.
        let keys = shared.chain(own).filter_map(|secret| derive(secret, PURPOSE).ok()).collect();
        Self { keys, resource: resource.as_str().into() }
    }

    /// Lets a permitted request go on with the session that it names, if that is its caller's.
    pub(super) fn resume(
        &self,
        permit: Permit,
        headers: &HeaderMap,
    ) -> Result<Permit, UnknownSession> {
        let Some(held) = headers.get(SESSION_ID) else { return Ok(permit) };
        match self.open(held, permit.principal()) {
            Some(session) => Ok(permit.within(session)),
            // It means nothing in that era, and whatever it is goes no further than here.
            None if knows_no_sessions(headers) => Ok(permit),
            None => Err(UnknownSession(permit)),
        }
    }

    /// What the client gets to hold instead of the id that the answer of a backend has, if it has one.
    pub(super) fn hold(
        &self,
        headers: &HeaderMap,
        principal: &Principal,
        backend: BackendTag,
    ) -> Result<Option<HeaderValue>, Unsealable> {
        let mut ids = headers.get_all(SESSION_ID).iter();
        match (ids.next(), ids.next()) {
            (None, _) => Ok(None),
            (Some(id), None) => self.seal(backend, id, principal).map(Some).ok_or(Unsealable),
            (Some(_), Some(_)) => Err(Unsealable),
        }
    }

    fn seal(
        &self,
        backend: BackendTag,
        id: &HeaderValue,
        principal: &Principal,
    ) -> Option<HeaderValue> {
        let key = self.keys.first().filter(|_| id.len() <= LONGEST)?;
        let mut sealed = [&backend.0, id.as_bytes()].concat();
        let bound = Aad::from(self.binding(principal));
        key.seal_in_place_append_tag(nonce(), bound, &mut sealed).ok()?;
        let mut text = FORM.to_owned();
        URL_SAFE_NO_PAD.encode_string(sealed, &mut text);
        HeaderValue::try_from(text).ok()
    }

    fn open(&self, held: &HeaderValue, principal: &Principal) -> Option<Session> {
        let text = held.as_bytes().strip_prefix(FORM.as_bytes())?;
        let text = Some(text).filter(|text| text.len() <= 2 * LONGEST)?;
        let sealed = URL_SAFE_NO_PAD.decode(text).ok()?;
        let binding = self.binding(principal);
        self.keys.iter().find_map(|key| {
            let mut opened = sealed.clone();
            let opened = key.open_in_place(nonce(), Aad::from(&binding), &mut opened).ok()?;
            let (backend, id) = opened.split_first_chunk()?;
            let id = HeaderValue::from_bytes(id).ok()?;
            Some(Session { backend: BackendTag(*backend), id })
        })
    }

    /// Whose session, and where: each name with its length, so that no two callers share one text.
    fn binding(&self, principal: &Principal) -> Vec<u8> {
        let names: [Option<&str>; 4] = [
            Some(&self.resource),
            Some(&principal.issuer),
            Some(&principal.subject),
            principal.client.as_deref(),
        ];
        let mut text = Vec::with_capacity(256);
        for name in names {
            // One that is absent is not one that is empty.
            let length = name.map_or(u64::MAX, |name| name.len() as u64);
            text.extend_from_slice(&length.to_be_bytes());
            text.extend_from_slice(name.unwrap_or_default().as_bytes());
        }
        text
    }
}

/// A key that is good for one purpose, whatever else the secret was made for.
pub(crate) fn derive(secret: &[u8], purpose: &[u8]) -> Result<LessSafeKey, Unspecified> {
    let key = Salt::new(HKDF_SHA256, purpose).extract(secret);
    Ok(LessSafeKey::new(UnboundKey::from(key.expand(&[], &AES_256_GCM_SIV)?)))
}

/// Always the same, which this cipher is made to bear (RFC 8452 section 9): it tells no more than
/// that two texts are the same session of the same caller. So a session has one name for as long as
/// its key is the first, however often the upstream says it, and no random numbers are needed.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

/// From 2026-07-28 on requests stand alone, and servers are to ignore what poses as a session.
pub(super) fn knows_no_sessions(headers: &HeaderMap) -> bool {
    headers.get(PROTOCOL_VERSION).is_some_and(|version| {
        version.len() == STATELESS_SINCE.len() && version.as_bytes() >= STATELESS_SINCE
    })
}

/// Which of the backends of a site: the same to all replicas. It goes into the names of its sessions, so
/// that each is asked for where it was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackendTag(pub [u8; Self::LENGTH]);

impl BackendTag {
    /// Long enough to tell apart what one configuration names.
    pub const LENGTH: usize = 8;
}

/// A session that its caller has.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Session {
    /// Where it is.
    pub(super) backend: BackendTag,
    /// By the name that it has there.
    pub(super) id: HeaderValue,
}

/// A session that this caller has not begun, or that nobody here can know any more.
#[derive(Debug)]
pub struct UnknownSession(Permit);

impl UnknownSession {
    /// One that was at a server which is none of ours any more.
    pub(super) fn gone(permit: Permit) -> Self {
        Self(permit)
    }

    /// Who named it.
    pub fn principal(&self) -> &Principal {
        self.0.principal()
    }

    /// On what it would have passed.
    pub(crate) fn ruling(&self) -> &Ruling {
        self.0.ruling()
    }
}

/// The upstream named several sessions at once, or one by a name without end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the upstream's session id cannot be sealed: it is repeated or too long")]
pub(crate) struct Unsealable;

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sessions({} keys)", self.keys.len())
    }
}

pub(crate) const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
pub(super) const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");

const STATELESS_SINCE: &[u8] = b"2026-07-28";

/// The secret may have been made for something else as well.
const PURPOSE: &[u8] = b"postern session";

/// How what follows is made: another way would have another mark.
const FORM: &str = "2.";

/// Of an upstream's id, in bytes. Common ones have 36.
const LONGEST: usize = 1024;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::Config;

    /// The sessions of a site, sealed with keys of these letters.
    fn sessions_at(resource: &str, letters: &[&str]) -> Sessions {
        let keys: Vec<String> = letters.iter().map(|letter| letter.repeat(32)).collect();
        let config = Config::parse(&format!(
            "tls: off\nresource: {{url: '{resource}'}}\nissuers: [{{issuer: 'https://id.example'}}]\n\
             upstream: {{address: 'unix:/b'}}\nsession: {{keys: {keys:?}}}"
        ));
        let rules = config.unwrap().rules;
        Sessions::new(&rules.sites[0].resource, &rules.session_keys, &[7; 32])
    }

    fn sessions(letters: &[&str]) -> Sessions {
        sessions_at("https://mcp.example/mcp", letters)
    }

    fn principal(issuer: &str, subject: &str, client: Option<&str>) -> Principal {
        Principal {
            issuer: Arc::from(issuer),
            subject: subject.into(),
            client: client.map(Into::into),
            scopes: Box::default(),
            memberships: None,
        }
    }

    fn ada() -> Principal {
        principal("https://id.example", "ada", Some("editor"))
    }

    const HERE: BackendTag = BackendTag(*b"backend1");
    const ID: HeaderValue = HeaderValue::from_static("0b5a0c3e-6f0f-4c0c-9c56-2a9fd5b1a3f7");

    #[test]
    fn a_session_is_its_callers() {
        let sessions = sessions(&["a"]);
        let held = sessions.seal(HERE, &ID, &ada()).unwrap();
        assert_eq!(sessions.open(&held, &ada()).unwrap(), Session { backend: HERE, id: ID });
        for other in [
            principal("https://id.example", "eve", Some("editor")),
            principal("https://other.example", "ada", Some("editor")),
            principal("https://id.example", "ada", Some("mailer")),
            principal("https://id.example", "ada", None),
            principal("https://id.example", "adaeditor", Some("")),
            principal("https://id.example", "", Some("adaeditor")),
            principal("https://id.exampleada", "", Some("editor")),
        ] {
            assert_eq!(sessions.open(&held, &other), None, "{other:?}");
        }
        assert_eq!(sessions_at("https://mcp.example/b", &["a"]).open(&held, &ada()), None);
    }

    #[test]
    fn no_client_is_not_a_client_without_a_name() {
        let sessions = sessions(&["a"]);
        let [none, unnamed] = [None, Some("")].map(|client| principal("https://i", "ada", client));
        let held = sessions.seal(HERE, &ID, &none).unwrap();
        assert!(sessions.open(&held, &none).is_some() && sessions.open(&held, &unnamed).is_none());
    }

    #[test]
    fn a_session_has_one_name_and_it_tells_nothing() {
        let held = sessions(&["a"]).seal(HERE, &ID, &ada()).unwrap();
        assert_eq!(sessions(&["a"]).seal(HERE, &ID, &ada()).unwrap(), held, "replicas agree");
        assert!(held.as_bytes().iter().all(|byte| matches!(byte, 0x21..=0x7E)), "{held:?}");
        assert_eq!(held.len(), FORM.len() + (BackendTag::LENGTH + ID.len() + 16) * 4 / 3);
        let other = HeaderValue::from_static("0b5a0c3e-6f0f-4c0c-9c56-2a9fd5b1a3f8");
        let other = sessions(&["a"]).seal(HERE, &other, &ada()).unwrap();
        let same = held.as_bytes().iter().zip(other.as_bytes()).filter(|(a, b)| a == b).count();
        assert!(same < 20, "one digit changes all of it: {held:?} {other:?}");
    }

    #[test]
    fn keys_change_while_sessions_last() {
        let old = sessions(&["a"]).seal(HERE, &ID, &ada()).unwrap();
        let both = sessions(&["b", "a"]);
        assert_eq!(both.open(&old, &ada()).unwrap().id, ID);
        let new = both.seal(HERE, &ID, &ada()).unwrap();
        assert_eq!(sessions(&["b"]).open(&new, &ada()).unwrap().id, ID);
        assert_eq!(sessions(&["a"]).open(&new, &ada()), None);
        assert_eq!(sessions(&["b"]).open(&old, &ada()), None);
    }

    #[test]
    fn nothing_else_opens() {
        let sessions = sessions(&["a"]);
        let held = sessions.seal(HERE, &ID, &ada()).unwrap();
        let text = held.to_str().unwrap();
        for index in 0..text.len() {
            for byte in [b'A', b'z', b'=', b'2'] {
                let mut changed = text.as_bytes().to_vec();
                if std::mem::replace(&mut changed[index], byte) == byte {
                    continue;
                }
                let changed = HeaderValue::from_bytes(&changed).unwrap();
                assert_eq!(sessions.open(&changed, &ada()), None, "{changed:?}");
            }
            let cut = HeaderValue::from_bytes(&text.as_bytes()[..index]).unwrap();
            assert_eq!(sessions.open(&cut, &ada()), None, "{cut:?}");
        }
        for text in [format!("{text}="), format!("{text}A"), "1.".into(), "A".repeat(9000)] {
            assert_eq!(sessions.open(&text.parse().unwrap(), &ada()), None);
        }
        assert_eq!(sessions.open(&ID, &ada()), None, "the upstream's own name for it");
    }

    #[test]
    fn an_upstreams_id_is_sealed_whatever_it_is_up_to_an_end() {
        let sessions = sessions(&["a"]);
        for id in [vec![], b"a b".to_vec(), b"\xff,\"".to_vec(), vec![b'x'; LONGEST]] {
            let id = HeaderValue::from_bytes(&id).unwrap();
            let held = sessions.seal(HERE, &id, &ada()).unwrap();
            assert_eq!(sessions.open(&held, &ada()).unwrap().id, id);
        }
        let long = HeaderValue::from_bytes(&[b'x'; LONGEST + 1]).unwrap();
        assert_eq!(sessions.seal(HERE, &long, &ada()), None);
        let mut twice = HeaderMap::new();
        twice.append(SESSION_ID, ID);
        twice.append(SESSION_ID, ID);
        assert_eq!(sessions.hold(&twice, &ada(), HERE), Err(Unsealable));
    }

    #[test]
    fn what_seals_is_not_shown() {
        assert_eq!(format!("{:?}", sessions(&["a", "b"])), "Sessions(2 keys)");
    }
}
