//! The authorization server: keys, the set it publishes, and tokens signed with them.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::State;
use axum::http::header::{DATE, LOCATION};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, crypto, encode};
use rcgen::{
    KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256,
    PublicKeyData as _,
};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::introspection::{Introspection, active};
use super::token_endpoint::TokenEndpoint;
use super::{Certificate, TlsListener};

/// A signing key, the id it is published under, and the one algorithm it is for.
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) algorithm: Algorithm,
    pair: Arc<KeyPair>,
    signing: EncodingKey,
}

impl Key {
    pub(crate) fn new(id: &str) -> Self {
        Self::of(Algorithm::ES256, id)
    }

    /// All RSA keys of one process are the same: they take long to make.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the enum grows with its crate")]
    pub(crate) fn of(algorithm: Algorithm, id: &str) -> Self {
        static RSA: LazyLock<Arc<KeyPair>> =
            LazyLock::new(|| Arc::new(KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap()));
        let new = |kind| Arc::new(KeyPair::generate_for(kind).unwrap());
        let (pair, signing): (_, fn(&[u8]) -> EncodingKey) = match algorithm {
            Algorithm::ES256 => (new(&PKCS_ECDSA_P256_SHA256), EncodingKey::from_ec_der),
            Algorithm::ES384 => (new(&PKCS_ECDSA_P384_SHA384), EncodingKey::from_ec_der),
            Algorithm::EdDSA => (new(&PKCS_ED25519), EncodingKey::from_ed_der),
            // PKCS#1 is what PKCS#8 wraps, and for 2048 bits the wrapping is always the same.
            _ => (Arc::clone(&RSA), |der| EncodingKey::from_rsa_der(&der[26..])),
        };
        let signing = signing(&pair.serialize_der());
        Self { id: id.into(), algorithm, pair, signing }
    }

    /// As it stands in a JWK set.
    pub(crate) fn published(&self) -> Value {
        if self.algorithm == Algorithm::EdDSA {
            let x = URL_SAFE_NO_PAD.encode(self.pair.public_key_raw());
            return json!({ "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": self.id, "x": x });
        }
        let mut jwk = Jwk::from_encoding_key(&self.signing, self.algorithm).unwrap();
        jwk.common.key_id = Some(self.id.clone());
        serde_json::to_value(jwk).unwrap()
    }

    /// Its public half: PEM and DER with the type of key, and the bare numbers.
    pub(crate) fn public(&self) -> [Vec<u8>; 3] {
        let pair = &self.pair;
        [
            pair.public_key_pem().into_bytes(),
            pair.subject_public_key_info(),
            pair.public_key_raw().to_vec(),
        ]
    }

    /// The header of an access token.
    pub(crate) fn header(&self) -> Header {
        let mut header = Header::new(self.algorithm);
        header.typ = Some("at+jwt".into());
        header.kid = Some(self.id.clone());
        header
    }

    /// Signs `claims`, under a header that says what an access token's header says.
    pub(crate) fn sign(&self, claims: &Claims) -> String {
        self.sign_as(&self.header(), claims)
    }

    pub(crate) fn sign_as(&self, header: &Header, claims: &Claims) -> String {
        encode(header, &claims.0, &self.signing).unwrap()
    }

    /// Signs any two texts, be they JSON or not.
    pub(crate) fn sign_text(&self, header: &str, claims: &str) -> String {
        let signed = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
        format!("{signed}.{}", self.sign_bytes(&signed))
    }

    /// The signature of a text, as it stands in a token.
    pub(crate) fn sign_bytes(&self, signed: &str) -> String {
        crypto::sign(signed.as_bytes(), &self.signing, self.algorithm).unwrap()
    }
}

/// What a token says. Starts valid; a test spoils the one thing it is about.
#[derive(Clone)]
pub(crate) struct Claims(pub(crate) BTreeMap<String, Value>);

impl Claims {
    pub(crate) fn set(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.into(), value.into());
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.0.remove(name);
        self
    }

    pub(crate) fn text(&self) -> String {
        serde_json::to_string(&self.0).unwrap()
    }
}

/// An issuer on loopback: metadata and keys over real HTTP.
pub(crate) struct Issuer {
    url: String,
    published: watch::Sender<Published>,
    fetches: Arc<AtomicUsize>,
    asked: Arc<AtomicUsize>,
    pub(crate) introspection: Introspection,
    pub(crate) tokens: TokenEndpoint,
    pub(crate) key: Key,
}

/// What it serves at the moment.
#[derive(Clone)]
struct Published {
    status: StatusCode,
    keys: String,
    /// Nothing is answered for as long as this holds.
    silent: bool,
    /// Where everything has moved to.
    moved: Option<String>,
    /// What its metadata says instead of the truth.
    keys_at: Option<String>,
    /// What else it says, or says otherwise.
    described: Value,
    /// What it says instead of all that.
    instead: Option<String>,
    /// Without metadata of RFC 8414, as many providers are.
    only_openid: bool,
    /// What time it says it is.
    date: Option<String>,
}

impl Issuer {
    /// With one key, published.
    pub(crate) fn start() -> Self {
        Self::listen("127.0.0.1:0", None)
    }

    /// The same on an address of one's choice.
    pub(crate) fn start_on(address: &str) -> Self {
        Self::listen(address, None)
    }

    /// The same over TLS, on an address of one's choice.
    pub(crate) fn start_tls(address: &str, certificate: &Certificate) -> Self {
        Self::listen(address, Some(certificate))
    }

    fn listen(address: &str, certificate: Option<&Certificate>) -> Self {
        let key = Key::new("first");
        let (published, watched) = watch::channel(Published {
            status: StatusCode::OK,
            keys: set(&[key.published()]),
            silent: false,
            moved: None,
            keys_at: None,
            described: json!({}),
            instead: None,
            only_openid: false,
            date: None,
        });
        let (fetches, asked) = <(Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
        let listener = TcpListener::bind(address).unwrap();
        let scheme = if certificate.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", listener.local_addr().unwrap());
        let introspection = Introspection::new();
        let tokens = TokenEndpoint::new();
        let state = Shared {
            issuer: url.clone(),
            watched,
            fetches: Arc::clone(&fetches),
            asked: Arc::clone(&asked),
            introspection: introspection.clone(),
            tokens: tokens.clone(),
        };
        let tls = certificate.map(TlsListener::acceptor);
        thread::spawn(move || serve(listener, tls, state));
        Self { url, published, fetches, asked, introspection, tokens, key }
    }

    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    pub(crate) fn publish(&self, keys: &[&Key]) {
        let keys: Vec<Value> = keys.iter().map(|key| key.published()).collect();
        self.publish_text(&set(&keys));
    }

    pub(crate) fn publish_text(&self, keys: &str) {
        self.published.send_modify(|published| {
            published.status = StatusCode::OK;
            published.keys = keys.into();
        });
    }

    /// Every request gets this status from now on.
    pub(crate) fn fail(&self, status: u16) {
        self.published
            .send_modify(|published| published.status = StatusCode::from_u16(status).unwrap());
    }

    /// From now on nobody gets any answer.
    pub(crate) fn fall_silent(&self) {
        self.published.send_modify(|published| published.silent = true);
    }

    /// Every request is sent on to that place.
    pub(crate) fn move_to(&self, location: &str) {
        self.published.send_modify(|published| published.moved = Some(location.into()));
    }

    /// Its metadata says that the keys are there.
    pub(crate) fn claim_keys_at(&self, url: &str) {
        self.published.send_modify(|published| published.keys_at = Some(url.into()));
    }

    /// Its metadata says this, too.
    pub(crate) fn describe(&self, fields: Value) {
        self.published.send_modify(|published| published.described = fields);
    }

    /// Its metadata is this text.
    pub(crate) fn describe_as(&self, text: &str) {
        self.published.send_modify(|published| published.instead = Some(text.into()));
    }

    /// Its metadata is where `OpenID` Connect puts it, and nowhere else.
    pub(crate) fn speak_only_openid(&self) {
        self.published.send_modify(|published| published.only_openid = true);
    }

    /// It says that this is the time.
    pub(crate) fn says_it_is(&self, date: &str) {
        self.published.send_modify(|published| published.date = Some(date.into()));
    }

    /// All is well again.
    pub(crate) fn recover(&self) {
        self.published.send_modify(|published| {
            published.status = StatusCode::OK;
            published.silent = false;
            published.moved = None;
        });
    }

    /// How often its metadata was asked for.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// How often the keys were asked for.
    pub(crate) fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }

    /// Claims of a good token for `https://mcp.example/mcp`.
    pub(crate) fn claims(&self) -> Claims {
        let now = now();
        let claims = json!({
            "iss": self.url(), "sub": "ada", "aud": "https://mcp.example/mcp", "client_id": "test-client",
            "scope": "mcp:read mcp:write", "iat": now, "exp": now + 300, "jti": "1",
        });
        Claims(serde_json::from_value(claims).unwrap())
    }

    /// Makes `token` one that only this issuer can judge, with these claims.
    pub(crate) fn vouch(&self, token: &str, claims: &Claims) {
        self.introspection.says(token, active(&claims.0));
    }

    /// A good token.
    pub(crate) fn token(&self) -> String {
        self.key.sign(&self.claims())
    }
}

#[expect(clippy::disallowed_methods, reason = "the proxy under test reads the real clock")]
pub(crate) fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_secs()).unwrap()
}

fn set(keys: &[Value]) -> String {
    json!({ "keys": keys }).to_string()
}

#[derive(Clone)]
struct Shared {
    issuer: String,
    watched: watch::Receiver<Published>,
    fetches: Arc<AtomicUsize>,
    asked: Arc<AtomicUsize>,
    introspection: Introspection,
    tokens: TokenEndpoint,
}

fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, state: Shared) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let router = Router::new()
            .route("/.well-known/oauth-authorization-server", get(metadata))
            .route("/.well-known/openid-configuration", get(metadata))
            .route("/jwks", get(keys))
            .route("/introspect", post(introspect))
            .route("/token", post(token))
            .with_state(state);
        listener.set_nonblocking(true).unwrap();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        match tls {
            Some(tls) => axum::serve(TlsListener { listener, tls }, router).await.unwrap(),
            None => axum::serve(listener, router).await.unwrap(),
        }
    });
}

type Reply = (StatusCode, HeaderMap, String);

async fn metadata(State(mut shared): State<Shared>, uri: Uri) -> Reply {
    shared.asked.fetch_add(1, Ordering::SeqCst);
    let published = shared.published().await;
    if published.only_openid && !uri.path().ends_with("openid-configuration") {
        return (StatusCode::NOT_FOUND, HeaderMap::new(), String::new());
    }
    let issuer = &shared.issuer;
    let place = |path: &str| format!("{issuer}/{path}");
    let keys = published.keys_at.clone().unwrap_or_else(|| place("jwks"));
    let mut metadata = json!({
        "issuer": issuer, "jwks_uri": keys, "introspection_endpoint": place("introspect"),
        "authorization_endpoint": place("authorize"), "token_endpoint": place("token"),
    });
    let described = published.described.as_object().unwrap().clone();
    metadata.as_object_mut().unwrap().extend(described);
    published.reply(published.instead.clone().unwrap_or_else(|| metadata.to_string()))
}

async fn introspect(
    State(shared): State<Shared>,
    headers: HeaderMap,
    body: String,
) -> (StatusCode, String) {
    shared.introspection.answer(&headers, &body).await
}

async fn token(
    State(shared): State<Shared>,
    headers: HeaderMap,
    body: String,
) -> (StatusCode, String) {
    shared.tokens.answer(&headers, &body).await
}

async fn keys(State(mut shared): State<Shared>) -> Reply {
    shared.fetches.fetch_add(1, Ordering::SeqCst);
    let published = shared.published().await;
    published.reply(published.keys.clone())
}

impl Shared {
    async fn published(&mut self) -> Published {
        self.watched.wait_for(|published| !published.silent).await.unwrap().clone()
    }
}

impl Published {
    fn reply(&self, body: String) -> Reply {
        let mut headers = HeaderMap::new();
        if let Some(location) = &self.moved {
            headers.insert(LOCATION, location.parse().unwrap());
            return (StatusCode::FOUND, headers, String::new());
        }
        if let Some(date) = &self.date {
            headers.insert(DATE, date.parse().unwrap());
        }
        (self.status, headers, body)
    }
}
