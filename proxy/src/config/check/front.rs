//! The section `oauth`: what of the authorization server is done here.

mod facade;
mod login;

use serde_json::{Map, Value};

use super::session;
use super::value;
use crate::config::file::Section;
use crate::config::front::{FIELDS, Kind};
use crate::config::invalid::Wrong;
use crate::config::{Front, Issuer, Site, TrustedIssuer};

/// None if there is none, or none that could be believed.
pub(super) fn rules(
    root: &mut Section<'_>,
    issuers: Option<&[TrustedIssuer]>,
    sites: Option<&[Site]>,
) -> Option<Front> {
    let mut section = root.section("oauth")?;
    let issuer = issuer(&mut section, issuers);
    let overrides = overrides(&mut section);
    let keys = session::keys_of(&mut section);
    let mirror = section.section("mirror").is_some();
    let has_login = section.has("login");
    let login = login::rules(&mut section, sites);
    let aliases = section.section("aliases").is_some();
    let has_facade = section.has("facade");
    let facade = facade::rules(&mut section);
    let asking = facade::asking(&mut section);
    for (key, is_on) in [("mirror", mirror), ("aliases", aliases)] {
        if is_on && has_facade {
            let reason = "the facade answers at the same places, in its own name";
            section.wrong(key, None, Wrong::new(reason, "keep one of the two"));
        }
    }
    if !mirror && !aliases && !has_facade && !has_login {
        let fix = "write mirror: {}, aliases: {}, facade or login, or remove the section";
        root.wrong("oauth", None, Wrong::new("nothing in it is turned on", fix));
    }
    let issuer = issuer?;
    Some(Front { issuer, overrides, keys, mirror, aliases, facade, asking, login })
}

/// The one that is named; else the only one that is trusted.
fn issuer(section: &mut Section<'_>, issuers: Option<&[TrustedIssuer]>) -> Option<Issuer> {
    let named = section.optional("issuer", value::issuer);
    // What is wrong with them has been noted.
    let issuers = issuers?;
    match (named, issuers) {
        (Some(named), _) if issuers.iter().any(|trusted| trusted.issuer == named) => Some(named),
        (Some(_), _) => {
            let reason = "its tokens are not believed here";
            let fix = "write the issuer of one of the entries of issuers";
            section.wrong("issuer", section.written("issuer"), Wrong::new(reason, fix));
            None
        }
        (None, [only]) => Some(only.issuer.clone()),
        (None, _) => {
            if !section.had("issuer") {
                let fix = "write oauth.issuer: one of the entries of issuers";
                section.wrong("issuer", None, Wrong::new("several issuers are trusted", fix));
            }
            None
        }
    }
}

fn overrides(section: &mut Section<'_>) -> Map<String, Value> {
    let mut overrides = Map::new();
    let Some(mut section) = section.section("overrides") else { return overrides };
    if section.has("issuer") {
        let reason = "tokens and answers name the issuer that there is";
        section.wrong("issuer", None, Wrong::new(reason, "remove it"));
        section.ignore("issuer");
    }
    for (name, kind) in FIELDS {
        let value = match kind {
            Kind::Address => {
                section.optional(name, value::link).map(|url| Value::from(url.as_str()))
            }
            Kind::Names => section.list(name, value::text).map(Value::from),
            Kind::Flag => section.optional(name, value::yes_or_no).map(Value::from),
        };
        overrides.extend(value.map(|value| ((*name).to_owned(), value)));
    }
    overrides
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    const ISSUERS: &str = "{issuer: 'https://id.example'}";

    fn read(issuers: &str, section: &str) -> Result<Config, String> {
        let text = format!(
            "tls: off\nresource: {{url: 'https://mcp.example/mcp'}}\nissuers: [{issuers}]\n\
             upstream: {{address: 'unix:/b'}}\noauth: {section}"
        );
        Config::parse(&text).map_err(|invalid| invalid.to_string())
    }

    #[track_caller]
    fn refuses(section: &str, key: &str) {
        let told = read(ISSUERS, section).expect_err(section);
        assert!(told.starts_with("1 problem ") && told.contains(&format!(": {key}")), "{told}");
    }

    #[test]
    fn it_is_off_unless_something_is_turned_on() {
        let absent = "tls: off\nresource: {url: 'https://mcp.example/mcp'}\n\
                      issuers: [{issuer: 'https://id.example'}]\nupstream: {address: 'unix:/b'}";
        assert!(Config::parse(absent).unwrap().rules.front.is_none());
        refuses("{}", "oauth");
        refuses("{issuer: 'https://id.example'}", "oauth");
        assert!(read(ISSUERS, "{mirror: {}}").unwrap().rules.front.unwrap().mirror);
        refuses("{mirror: {on: true}}", "oauth.mirror.on");
    }

    #[test]
    fn it_is_for_one_of_the_issuers() {
        let two = "{issuer: 'https://id.example'}, {issuer: 'https://other.example'}";
        let named = "{mirror: {}, issuer: 'https://other.example'}";
        let front = read(two, named).unwrap().rules.front.unwrap();
        assert_eq!(front.issuer.as_str(), "https://other.example");
        assert!(read(two, "{mirror: {}}").unwrap_err().contains("oauth.issuer"));
        refuses("{mirror: {}, issuer: 'https://other.example'}", "oauth.issuer");
    }

    #[test]
    fn overrides_are_fields_that_are_passed_on_and_of_their_kind() {
        let with = |field: &str| format!("{{mirror: {{}}, overrides: {{{field}}}}}");
        let good = with("token_endpoint: 'https://a.example/t', scopes_supported: [a, b]");
        let overrides = read(ISSUERS, &good).unwrap().rules.front.unwrap().overrides;
        assert_eq!(overrides["token_endpoint"], "https://a.example/t");
        assert_eq!(overrides["scopes_supported"], serde_json::json!(["a", "b"]));
        for (field, key) in [
            ("issuer: 'https://a.example'", "issuer"),
            ("token_endpoint: 'http://a.example'", "token_endpoint"),
            ("scopes_supported: a", "scopes_supported"),
            ("request_parameter_supported: maybe", "request_parameter_supported"),
            ("signed_metadata: x", "signed_metadata"),
        ] {
            refuses(&with(field), &format!("oauth.overrides.{key}"));
        }
    }

    #[test]
    fn what_seals_is_long() {
        refuses("{mirror: {}, keys: [short]}", "oauth.keys[0]");
        refuses("{mirror: {}, keys: []}", "oauth.keys");
    }
}
