//! What a configuration means, in a few lines.

use std::fmt;

use jsonwebtoken::Algorithm;

use crate::config::{
    Boot, IntrospectionEndpoint, KeySource, Rules, Scope, Site, Source, Tls, TrustedIssuer,
};

/// Listeners, resources and issuers.
pub(crate) struct Summary<'c> {
    pub(crate) boot: &'c Boot,
    pub(crate) rules: &'c Rules,
}

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tls = match self.boot.tls {
            Tls::Here { .. } => "TLS",
            Tls::Off => "plain HTTP",
        };
        writeln!(f, "  listen    {}, {tls}", self.boot.listen)?;
        writeln!(f, "  admin     {}", self.boot.admin)?;
        self.rules.sites.iter().try_for_each(|site| resource(f, site))?;
        self.rules.issuers.iter().try_for_each(|trusted| issuer(f, trusted))
    }
}

fn resource(f: &mut fmt::Formatter<'_>, site: &Site) -> fmt::Result {
    let scopes: Vec<&str> = site.scopes.iter().map(Scope::as_str).collect();
    let scopes = if scopes.is_empty() { "no scope".to_owned() } else { scopes.join(" ") };
    let to = &site.upstream;
    let switches = if site.websocket { ", WebSockets too" } else { "" };
    writeln!(f, "  resource  {}, needs {scopes}, goes to {to}{switches}", site.resource.as_str())
}

fn issuer(f: &mut fmt::Formatter<'_>, trusted: &TrustedIssuer) -> fmt::Result {
    let name = trusted.issuer.as_str();
    let audiences = match &*trusted.audiences {
        [] => "the resource".to_owned(),
        all => all.join(", "),
    };
    // Addresses may hold what a reference stands for, and are not shown.
    let by = match &trusted.source {
        Source::Keys(KeySource::Discover) => "keys are discovered".to_owned(),
        Source::Keys(KeySource::Url(_)) => "keys are at a fixed address".to_owned(),
        Source::Keys(KeySource::File(path)) => format!("keys are in {}", path.display()),
        Source::Introspection(asked) => match asked.endpoint {
            IntrospectionEndpoint::Discover => "is asked at an endpoint that is discovered",
            IntrospectionEndpoint::Url(_) => "is asked at a fixed endpoint",
        }
        .to_owned(),
    };
    let signs = match &trusted.source {
        Source::Keys(_) => format!(", {}", algorithms(&trusted.algorithms)),
        Source::Introspection(_) => String::new(),
    };
    writeln!(f, "  issuer    {name}, {by}{signs}, audience {audiences}")
}

pub(super) fn algorithms(all: &[Algorithm]) -> String {
    let names: Vec<String> = all.iter().map(|algorithm| format!("{algorithm:?}")).collect();
    names.join(" ")
}
