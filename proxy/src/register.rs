//! Registers this gateway as a client of an authorization server (RFC 7591), changes that and takes it back
//! (RFC 7592). What it is given is kept in files that nobody else can read.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde_json::{Map, Value, json};
use url::Url;

use crate::config::Registration;
use crate::outbound::{CannotFetch, Content, Document, Failed, Outbound, Question};
use crate::refresh::{self, NoKeys};

/// What is to become of the registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// It is made.
    Begin,
    /// It is changed to what the file says now.
    Change,
    /// It is taken back.
    End,
}

/// Does it; what comes of it is in the directory, and no longer there when it has ended.
pub(crate) async fn register(rules: &Registration, act: Act) -> Result<(), NotRegistered> {
    let outbound = Outbound::new(&rules.outbound)?.on_behalf_of_issuer(&rules.issuer);
    let kept = Kept { directory: rules.directory.clone() };
    match act {
        Act::Begin => {
            if kept.place(WHOLE).exists() {
                return Err(NotRegistered::Already(kept.place(WHOLE)));
            }
            // Better now than when a secret has nowhere to go.
            kept.make_room().map_err(NotRegistered::Directory)?;
            let metadata = refresh::described(&outbound, &rules.issuer).await?;
            let place = metadata.get("registration_endpoint").and_then(Value::as_str);
            let place = place.ok_or(NotRegistered::NoEndpoint)?;
            let token = rules.initial_access_token.as_ref().map(crate::config::Secret::expose);
            let question = question(Method::POST, token, Some(wanted(rules, None)))?;
            let given = answer(&outbound, place, question).await?;
            kept.keep(&given).map_err(NotRegistered::Directory)
        }
        Act::Change => {
            let known = kept.known()?;
            let (place, token) = known.leave()?;
            let question = question(Method::PUT, Some(token), Some(wanted(rules, Some(&known.0))))?;
            let mut given = answer(&outbound, place, question).await?;
            // An answer need not repeat what stays as it was.
            for (name, value) in &known.0 {
                given.entry(name).or_insert_with(|| value.clone());
            }
            kept.keep(&given).map_err(NotRegistered::Directory)
        }
        Act::End => {
            let known = kept.known()?;
            let (place, token) = known.leave()?;
            let place = Url::parse(place).map_err(|_| NotRegistered::Answer)?;
            let told = outbound.ask(&place, question(Method::DELETE, Some(token), None)?).await?;
            match told.status {
                StatusCode::NO_CONTENT | StatusCode::OK => {
                    kept.forget().map_err(NotRegistered::Directory)
                }
                _ => Err(refusal(&told)),
            }
        }
    }
}

/// What we want to be.
fn wanted(rules: &Registration, known: Option<&Map<String, Value>>) -> Value {
    let mut wanted = json!({
        "client_name": rules.name,
        "redirect_uris": rules.redirect_uris,
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "client_secret_basic",
    });
    // RFC 7592 section 2.2: a change names whom it is about.
    if let (Some(wanted), Some(id)) =
        (wanted.as_object_mut(), known.and_then(|known| known.get(ID)))
    {
        wanted.insert(ID.into(), id.clone());
    }
    wanted
}

fn question(
    method: Method,
    token: Option<&str>,
    wanted: Option<Value>,
) -> Result<Question, NotRegistered> {
    let mut headers = HeaderMap::new();
    if let Some(token) = token {
        let shown = HeaderValue::from_str(&format!("Bearer {}", token.trim()));
        let mut shown = shown.map_err(|_| NotRegistered::Token)?;
        shown.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, shown);
    }
    let content = wanted.map(|wanted| Content::Json(wanted.to_string()));
    Ok(Question { method, headers, content })
}

async fn answer(
    outbound: &Outbound,
    place: &str,
    question: Question,
) -> Result<Map<String, Value>, NotRegistered> {
    let place = Url::parse(place).map_err(|_| NotRegistered::NoEndpoint)?;
    let told = outbound.ask(&place, question).await?;
    if !matches!(told.status, StatusCode::CREATED | StatusCode::OK) {
        return Err(refusal(&told));
    }
    let given: Map<String, Value> =
        serde_json::from_slice(&told.body).map_err(|_| NotRegistered::Answer)?;
    match given.get(ID) {
        Some(Value::String(_)) => Ok(given),
        Some(_) | None => Err(NotRegistered::Answer),
    }
}

/// Whatever it says, no more of it than a word.
fn refusal(told: &Document) -> NotRegistered {
    let said: Option<Value> = serde_json::from_slice(&told.body).ok();
    let error = said.as_ref().and_then(|said| said.get("error")).and_then(Value::as_str);
    let is_word = |error: &&str| {
        error.len() < 64 && error.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    };
    NotRegistered::Refused(told.status, error.filter(is_word).unwrap_or("no error").to_owned())
}

/// Where it is kept: the whole answer, and by themselves what a configuration refers to.
struct Kept {
    directory: PathBuf,
}

impl Kept {
    fn place(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn make_room(&self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)
    }

    /// The whole last: where it stands, the others do.
    fn keep(&self, given: &Map<String, Value>) -> io::Result<()> {
        self.make_room()?;
        for name in [ID, SECRET] {
            match given.get(name).and_then(Value::as_str) {
                Some(text) => self.write(name, text)?,
                None => self.remove(name)?,
            }
        }
        self.write(WHOLE, &Value::Object(given.clone()).to_string())
    }

    /// Nobody sees half of it, nor reads it before its mode is right.
    fn write(&self, name: &str, text: &str) -> io::Result<()> {
        let new = self.place(&format!(".{name}.new"));
        self.remove(&format!(".{name}.new"))?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(new, self.place(name))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.place(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn forget(&self) -> io::Result<()> {
        [WHOLE, SECRET, ID].into_iter().try_for_each(|name| self.remove(name))
    }

    fn known(&self) -> Result<Known, NotRegistered> {
        let whole = fs::read(self.place(WHOLE)).map_err(NotRegistered::Unknown)?;
        serde_json::from_slice(&whole).map(Known).map_err(|_| NotRegistered::Answer)
    }
}

/// A registration that was made before.
struct Known(Map<String, Value>);

impl Known {
    /// Where it can be changed, and what shows that we may.
    fn leave(&self) -> Result<(&str, &str), NotRegistered> {
        let text = |name: &str| self.0.get(name).and_then(Value::as_str);
        let both = text("registration_client_uri").zip(text("registration_access_token"));
        both.ok_or(NotRegistered::Unchangeable)
    }
}

/// Why there is no registration, or it is as it was.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotRegistered {
    #[error("{0} is there: write --update to change the registration, --remove to take it back")]
    Already(PathBuf),
    #[error("directory: {0}")]
    Directory(#[source] io::Error),
    #[error("there is no registration: registration.json: {0}")]
    Unknown(#[source] io::Error),
    #[error("initial_access_token: it is no token that a header could hold")]
    Token,
    #[error("outbound: {0}")]
    Outbound(#[from] CannotFetch),
    #[error("issuer: {0}")]
    Metadata(#[from] NoKeys),
    #[error("issuer: its metadata names no registration_endpoint; register a client by hand")]
    NoEndpoint,
    #[error("issuer: {0}")]
    Unasked(#[from] Failed),
    #[error("issuer: it answered {0} and said {1}")]
    Refused(StatusCode, String),
    #[error("issuer: it did not answer with a registration")]
    Answer,
    #[error("the issuer gave no registration_client_uri: change or remove the client there")]
    Unchangeable,
}

const WHOLE: &str = "registration.json";
const ID: &str = "client_id";
const SECRET: &str = "client_secret";
