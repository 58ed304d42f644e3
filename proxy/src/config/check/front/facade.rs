//! The sections `oauth.facade`, `oauth.resource` and `oauth.scopes`.

use url::Url;

use super::login;
use crate::config::check::value::{self, Checked};
use crate::config::file::Section;
use crate::config::front::{Asking, Facade, RedirectUri, ResourceAs};
use crate::config::invalid::Wrong;

/// None if there is none, or none that could be believed.
pub(super) fn rules(front: &mut Section<'_>) -> Option<Facade> {
    let mut section = front.section("facade")?;
    let client = login::own_client(&mut section);
    let fix = "list where clients may have people sent back to: \
               redirect_uris: ['http://127.0.0.1/callback']";
    if !section.has("redirect_uris") {
        section.required("redirect_uris", value::text, fix);
    }
    let redirect_uris = section.list("redirect_uris", redirect_uri);
    if redirect_uris.as_ref().is_some_and(Vec::is_empty) {
        let wrong = Wrong::new("no client could finish", fix);
        section.wrong("redirect_uris", Some("an empty list".into()), wrong);
    }
    let documents = section.optional("client_documents", value::yes_or_no);
    drop(section);
    if !front.had("keys") {
        let reason = "clients keep the names that they are given for months, and those are sealed \
                      with them";
        let fix = "write oauth.keys: ['${file:/etc/postern/oauth.key}'], for example from: \
                   openssl rand -base64 32";
        front.wrong("keys", None, Wrong::new(reason, fix));
    }
    Some(Facade {
        client: client?,
        redirect_uris: redirect_uris?,
        documents: documents.unwrap_or(true),
    })
}

/// How the issuer is asked.
pub(super) fn asking(front: &mut Section<'_>) -> Asking {
    let resource = if front.is_text("resource") {
        front.optional("resource", kept_or_dropped)
    } else {
        front.section("resource").map(|mut section| {
            let name = section.optional("name", parameter);
            let value = section.optional("value", value::text);
            ResourceAs::Named { name: name.unwrap_or_else(|| "resource".into()), value }
        })
    };
    Asking { resource: resource.unwrap_or_default(), scopes: front.table("scopes", scopes) }
}

fn kept_or_dropped(text: &str) -> Checked<ResourceAs> {
    match text {
        "keep" => Ok(ResourceAs::Kept),
        "drop" => Ok(ResourceAs::Dropped),
        _ => Err(Wrong::new("no such choice", "write keep, drop or a section with name and value")),
    }
}

/// A parameter of the issuer's, that means nothing else.
fn parameter(text: &str) -> Checked<String> {
    let is_name = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if text.is_empty() || !is_name || TAKEN.contains(&text) {
        return Err(Wrong::new("not a name for it", "write for example audience"));
    }
    Ok(text.to_owned())
}

fn scopes(text: &str) -> Checked<String> {
    for scope in text.split(' ') {
        login::scope(scope)?;
    }
    Ok(text.to_owned())
}

/// Whatever program is meant by it, it must not be one that runs what the address says.
fn redirect_uri(text: &str) -> Checked<RedirectUri> {
    let fix = "write an https address, http on loopback (any port is meant), or one of a scheme of \
               the program's own: cursor://…";
    let url = Url::parse(text).map_err(|error| Wrong::new(format!("not a URI: {error}"), fix))?;
    let printable = text.bytes().all(|byte| byte.is_ascii_graphic());
    if !printable || url.fragment().is_some() || text.contains(['<', '>', '"', '\\', '*']) {
        return Err(Wrong::new("it has a fragment, or what no address has", fix));
    }
    match url.scheme() {
        "https" | "http" => {
            value::link(text)?;
        }
        scheme if NO_PLACES.contains(&scheme) => return Err(Wrong::new("it is no place", fix)),
        _ => (),
    }
    Ok(RedirectUri::new(text))
}

const NO_PLACES: [&str; 9] =
    ["javascript", "data", "vbscript", "file", "blob", "about", "view-source", "ftp", "ws"];

/// What is asked for otherwise.
const TAKEN: [&str; 12] = [
    "response_type",
    "client_id",
    "client_secret",
    "redirect_uri",
    "state",
    "scope",
    "code",
    "code_challenge",
    "code_challenge_method",
    "code_verifier",
    "grant_type",
    "refresh_token",
];

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use crate::config::front::{Asking, Facade};

    const KEY: &str = "keys: ['0123456789abcdef0123456789abcdef']";

    fn read(section: &str) -> Result<(Option<Facade>, Asking), String> {
        let text = format!(
            "tls: off\nresource: {{url: 'https://mcp.example/mcp'}}\n\
             issuers: [{{issuer: 'https://id.example'}}]\nupstream: {{address: 'unix:/b'}}\n\
             oauth: {{{section}}}"
        );
        let config = Config::parse(&text).map_err(|invalid| invalid.to_string())?;
        let front = config.rules.front.unwrap();
        Ok((front.facade, front.asking))
    }

    #[track_caller]
    fn refuses(section: &str, key: &str) {
        let told = read(section).map(|_| ()).expect_err(section);
        assert!(told.starts_with("1 problem ") && told.contains(&format!(": {key}")), "{told}");
    }

    fn with(uri: &str) -> String {
        format!("{KEY}, facade: {{client_id: postern, redirect_uris: ['{uri}']}}")
    }

    #[test]
    fn a_facade_needs_a_client_a_key_and_places() {
        let (facade, _) = read(&with("http://127.0.0.1/callback")).unwrap();
        assert!(facade.unwrap().documents);
        refuses("facade: {client_id: p, redirect_uris: ['https://a.example/cb']}", "oauth.keys");
        refuses(&format!("{KEY}, facade: {{client_id: p}}"), "oauth.facade.redirect_uris");
        refuses(
            &format!("{KEY}, facade: {{client_id: p, redirect_uris: []}}"),
            "oauth.facade.redirect_uris",
        );
        let uris = "redirect_uris: ['https://a.example/cb']";
        refuses(&format!("{KEY}, facade: {{{uris}}}"), "oauth.facade.client_id");
        refuses(&format!("{KEY}, mirror: {{}}, facade: {{client_id: p, {uris}}}"), "oauth.mirror");
        refuses(
            &format!("{KEY}, aliases: {{}}, facade: {{client_id: p, {uris}}}"),
            "oauth.aliases",
        );
    }

    #[test]
    fn people_are_sent_to_places_and_nowhere_else() {
        for good in ["https://a.example/cb?x=y", "cursor://anysphere/cb", "http://localhost:1/cb"] {
            assert!(read(&with(good)).is_ok(), "{good}");
        }
        for bad in [
            "http://a.example/cb",
            "javascript:alert(1)",
            "data:text/html,x",
            "https://u:p@a.example/cb",
            "https://a.example/cb#x",
            "https://*.a.example/cb",
            "/cb",
        ] {
            refuses(&with(bad), "oauth.facade.redirect_uris[0]");
        }
    }

    #[test]
    fn an_issuer_is_asked_in_its_own_words() {
        let asking = |text: &str| read(&format!("aliases: {{}}, {text}")).unwrap().1;
        let kept = asking("resource: keep");
        assert_eq!(kept.resource("https://r"), Some(("resource", "https://r")));
        assert_eq!(asking("resource: drop").resource("https://r"), None);
        let named = asking("resource: {name: audience}");
        assert_eq!(named.resource("https://r"), Some(("audience", "https://r")));
        let mapped = asking("resource: {value: 'api://7'}, scopes: {read: 'api://7/read openid'}");
        assert_eq!(mapped.resource("https://r"), Some(("resource", "api://7")));
        assert_eq!(mapped.scopes("read  write"), "api://7/read openid write");
        refuses("aliases: {}, resource: both", "oauth.resource");
        refuses("aliases: {}, resource: {name: client_id}", "oauth.resource.name");
    }
}
