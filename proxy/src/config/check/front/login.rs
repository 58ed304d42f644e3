//! The section `oauth.login`.

use http::HeaderName;

use crate::config::check::value::{self, Checked};
use crate::config::file::Section;
use crate::config::front::{Broker, Login, OwnClient, Through};
use crate::config::invalid::Wrong;
use crate::config::{ClientAuthentication, Resource, Site};

/// None if there is none, or none that could be believed.
pub(super) fn rules(front: &mut Section<'_>, sites: Option<&[Site]>) -> Option<Login> {
    let mut section = front.section("login")?;
    let return_to = section.list("return_to", target).unwrap_or_default();
    let site = site(&mut section, sites);
    let redirect_uri = redirect_uri(&mut section, site.map(|site| &site.resource));
    let through = match section.section("broker") {
        Some(mut broker) => {
            for key in ["client_id", "client_secret", "authentication", "scopes"] {
                if section.has(key) {
                    let reason =
                        "the broker is asked instead of the issuer, and takes no such thing";
                    section.wrong(key, None, Wrong::new(reason, "remove it, or the broker"));
                    section.ignore(key);
                }
            }
            broker_rules(&mut broker).map(Box::new).map(Through::Broker)
        }
        None => issuer(&mut section, site),
    };
    Some(Login {
        resource: site?.resource.clone(),
        redirect_uri: redirect_uri?,
        return_to,
        through: through?,
    })
}

/// The one that tokens are for.
fn site<'s>(section: &mut Section<'_>, sites: Option<&'s [Site]>) -> Option<&'s Site> {
    let named = section.optional("resource", value::resource);
    // What is wrong with them has been noted.
    let sites = sites?;
    match (named, sites) {
        (Some(named), _) => {
            let found = sites.iter().find(|site| site.resource == named);
            if found.is_none() {
                let fix = "write the resource.url of one of the sites";
                let wrong = Wrong::new("no site has it", fix);
                section.wrong("resource", section.written("resource"), wrong);
            }
            found
        }
        (None, [only]) => Some(only),
        (None, _) => {
            if !section.had("resource") {
                let fix = "write oauth.login.resource: the resource.url of one of the sites";
                let wrong = Wrong::new("several sites are guarded, and a token is for one", fix);
                section.wrong("resource", None, wrong);
            }
            None
        }
    }
}

fn redirect_uri(section: &mut Section<'_>, resource: Option<&Resource>) -> Option<String> {
    let written = section.optional("redirect_uri", value::text);
    let origin = resource?.origin();
    let ours = CALLBACKS.map(|path| format!("{origin}{path}"));
    match written {
        None => ours.first().cloned(),
        Some(written) if ours.contains(&written) => Some(written),
        Some(_) => {
            let fix = format!("write {}, as it is registered at the issuer", ours.join(" or "));
            let wrong = Wrong::new("nothing there would finish a login", fix);
            section.wrong("redirect_uri", section.written("redirect_uri"), wrong);
            None
        }
    }
}

fn issuer(section: &mut Section<'_>, site: Option<&Site>) -> Option<Through> {
    let client = own_client(section);
    let scopes = section.list("scopes", scope);
    let own = site.into_iter().flat_map(|site| &site.scopes).map(|scope| scope.as_str().to_owned());
    let scopes =
        scopes.unwrap_or_else(|| std::iter::once("openid".to_owned()).chain(own).collect());
    Some(Through::Issuer { client: client?, scopes })
}

/// Who we are to the issuer.
pub(super) fn own_client(section: &mut Section<'_>) -> Option<OwnClient> {
    let fix = "write the id of the client that is registered at the issuer for this gateway";
    let id = section.required("client_id", value::text, fix);
    let secret = section.has("client_secret").then(|| {
        let fix = "write that client's secret, for example ${file:/run/secrets/client}, or remove \
                   the line if it has none";
        section.required_secret("client_secret", fix)
    });
    let authentication = section.optional("authentication", value::client_authentication);
    if secret.is_none() && section.had("authentication") {
        let fix = "write client_secret, or remove the line: a client without one just says its id";
        let wrong = Wrong::new("there is no secret to show", fix);
        section.wrong("authentication", section.written("authentication"), wrong);
    }
    let secret = match secret {
        None => None,
        Some(secret) => Some((secret?, authentication.unwrap_or(ClientAuthentication::Basic))),
    };
    Some(OwnClient { id: id?, secret })
}

fn broker_rules(section: &mut Section<'_>) -> Option<Broker> {
    let mut place = |key| section.required(key, value::link, "write the broker's https address");
    let (authorize, login, refresh) = (place("authorize"), place("login"), place("refresh"));
    let trace_header = section.optional("trace_header", header);
    Some(Broker {
        authorize: authorize?,
        login: login?,
        refresh: refresh?,
        trace_header: trace_header.unwrap_or(TRACE_ID),
    })
}

/// A scope that a client may ask for.
pub(super) fn scope(text: &str) -> Checked<String> {
    match text {
        "offline_access" => Ok(text.to_owned()),
        other => value::scope(other).map(|scope| scope.as_str().to_owned()),
    }
}

/// A place where people may be led: in the one spelling that every reader takes for it.
fn target(text: &str) -> Checked<String> {
    let url = value::link(text)?;
    if url.fragment().is_some() || url.as_str() != text {
        let fix = "write it as browsers show it: lower-case host, no default port, a path, no dot \
                   segments, no fragment";
        return Err(Wrong::new("it is not in its canonical form, which is compared", fix));
    }
    Ok(text.to_owned())
}

fn header(text: &str) -> Checked<HeaderName> {
    let name = text.parse().map_err(|_| Wrong::new("not a header name", "write Trace-Id"))?;
    if OF_THE_REQUEST.contains(&name) {
        return Err(Wrong::new("it means something else", "write a header of its own: Trace-Id"));
    }
    Ok(name)
}

/// Where logins are finished.
const CALLBACKS: [&str; 2] = ["/callback", "/auth/callback"];
const TRACE_ID: HeaderName = HeaderName::from_static("trace-id");
const OF_THE_REQUEST: [HeaderName; 8] = [
    http::header::ACCEPT,
    http::header::AUTHORIZATION,
    http::header::CONNECTION,
    http::header::CONTENT_LENGTH,
    http::header::CONTENT_TYPE,
    http::header::HOST,
    http::header::TRANSFER_ENCODING,
    http::header::USER_AGENT,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn login(settings: &str) -> Result<Login, String> {
        let text = format!(
            "tls: off\nresource: {{url: 'https://mcp.example/mcp', scopes: [mcp:read]}}\n\
             issuers: [{{issuer: 'https://id.example'}}]\nupstream: {{address: 'unix:/b'}}\n\
             oauth: {{login: {{{settings}}}}}"
        );
        let config = Config::parse(&text).map_err(|invalid| invalid.to_string())?;
        Ok(config.rules.front.unwrap().login.unwrap())
    }

    #[track_caller]
    fn refuses(settings: &str, words: &str) {
        let told = login(settings).unwrap_err();
        assert!(told.contains(words), "{settings}: {told}");
    }

    #[test]
    fn little_needs_to_be_said() {
        let login = login("client_id: postern").unwrap();
        assert_eq!(login.resource.as_str(), "https://mcp.example/mcp");
        assert_eq!(login.redirect_uri, "https://mcp.example/callback");
        let Through::Issuer { client, scopes } = login.through else { panic!("no broker") };
        assert_eq!((client.id.as_str(), client.secret.is_none()), ("postern", true));
        assert_eq!(scopes, ["openid", "mcp:read"]);
    }

    #[test]
    fn people_come_back_to_one_of_our_places() {
        let of = |uri: &str| login(&format!("client_id: p, redirect_uri: '{uri}'"));
        assert!(of("https://mcp.example/auth/callback").is_ok());
        for uri in [
            "https://mcp.example/callback/",
            "https://mcp.example/mcp",
            "https://evil.example/callback",
            "http://mcp.example/callback",
            "/callback",
        ] {
            let told = of(uri).unwrap_err();
            assert!(told.contains("nothing there would finish a login"), "{told}");
        }
    }

    #[test]
    fn a_target_has_one_spelling() {
        let of = |target: &str| login(&format!("client_id: p, return_to: ['{target}']"));
        assert!(of("https://app.example/").is_ok() && of("https://app.example/a?b=c").is_ok());
        assert!(of("http://localhost:3000/").is_ok());
        for target in [
            "https://app.example",
            "HTTPS://app.example/",
            "https://app.example:443/",
            "https://app.example/a/../b",
            "https://app.example/#f",
            "https://user@app.example/",
            "http://app.example/",
            "//app.example/",
            "/app",
            "javascript:alert(1)",
        ] {
            assert!(of(target).is_err(), "{target}");
        }
    }

    #[test]
    fn half_a_client_is_none() {
        refuses("return_to: []", "oauth.login.client_id");
        refuses("client_id: p, authentication: client_secret_post", "no secret to show");
        refuses("client_id: p, scopes: ['a b']", "not a scope");
        assert!(login("client_id: p, scopes: [openid, offline_access]").is_ok());
        let with = "client_id: p, client_secret: s, authentication: client_secret_post";
        let Through::Issuer { client, .. } = login(with).unwrap().through else { panic!("issuer") };
        assert_eq!(client.secret.unwrap().1, ClientAuthentication::Post);
    }

    #[test]
    fn a_broker_takes_the_issuers_place() {
        let places = "authorize: 'https://b.example/authorize', login: 'https://b.example/login', \
                      refresh: 'https://b.example/refresh'";
        let Through::Broker(broker) = login(&format!("broker: {{{places}}}")).unwrap().through
        else {
            panic!("no issuer")
        };
        assert_eq!(broker.trace_header, "trace-id");
        refuses(&format!("client_id: p, broker: {{{places}}}"), "instead of the issuer");
        refuses("broker: {authorize: 'https://b.example/a'}", "oauth.login.broker.login");
        refuses(&format!("broker: {{{places}, trace_header: Host}}"), "something else");
    }
}
