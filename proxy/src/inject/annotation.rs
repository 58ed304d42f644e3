//! What a pod asks for, in annotations. Whoever may create pods may write them, so that each has a
//! grammar of its own, and none chooses what runs.

use super::Problem;
use super::pod::Pod;

/// Nobody can own a name under `internal`: no such top-level domain will ever be delegated.
pub(super) const PREFIX: &str = "postern.internal/";
pub(super) const INJECT: &str = "postern.internal/inject";
/// Ours: what the proxy reads, and what was done.
pub(super) const CONFIG: &str = "postern.internal/config";
pub(super) const STATUS: &str = "postern.internal/status";
/// A label, so that policies and monitors can select pods by it.
pub(super) const INJECTED: &str = "postern.internal/injected";

/// All that somebody may write.
const KNOWN: [&str; 13] = [
    "inject",
    "resource-url",
    "issuer",
    "scopes",
    "port",
    "config-map",
    "tls-secret",
    "log-level",
    "sidecar",
    "cpu-request",
    "cpu-limit",
    "memory-request",
    "memory-limit",
];

/// What the annotations say.
pub(super) struct Wanted {
    pub(super) source: Source,
    /// The port that the app leaves to the proxy, and keeps on loopback.
    pub(super) port: u16,
    pub(super) tls_secret: Option<String>,
    pub(super) style: Style,
    pub(super) resources: Resources,
}

/// Where the proxy's configuration comes from.
pub(super) enum Source {
    /// A config map, whose key is `postern.yaml`.
    Map(String),
    Annotations {
        resource_url: String,
        issuer: String,
        scopes: Vec<String>,
        log_level: String,
    },
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// An init container that goes on: it is up before the app, and ends after it.
    Native,
    /// One container among the others, for clusters before Kubernetes 1.29.
    Classic,
}

impl Style {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Classic => "classic",
        }
    }
}

/// Quantities, as Kubernetes writes them.
pub(super) struct Resources {
    pub(super) cpu_request: String,
    pub(super) cpu_limit: Option<String>,
    pub(super) memory_request: String,
    pub(super) memory_limit: String,
}

impl Wanted {
    pub(super) fn read(pod: Pod<'_>, problems: &mut Vec<Problem>) -> Option<Self> {
        unknown(pod, problems);
        let mut read = Reader { pod, problems };
        read.inject();
        let source = read.source();
        let tls_secret = read.optional("tls-secret", name, NAME_FIX);
        let style = read.style();
        let resources = Resources {
            cpu_request: read.quantity("cpu-request").unwrap_or_else(|| "50m".into()),
            cpu_limit: read.quantity("cpu-limit"),
            memory_request: read.quantity("memory-request").unwrap_or_else(|| "32Mi".into()),
            memory_limit: read.quantity("memory-limit").unwrap_or_else(|| "256Mi".into()),
        };
        let port = read.port();
        Some(Self { source: source?, port: port?, tls_secret, style, resources })
    }
}

fn unknown(pod: Pod<'_>, problems: &mut Vec<Problem>) {
    for key in pod.annotations() {
        let Some(name) = key.strip_prefix(PREFIX) else { continue };
        // What an earlier injection left is written anew.
        if !KNOWN.contains(&name) && key != CONFIG && key != STATUS {
            let fix = format!("remove it; known are: {}", KNOWN.join(", "));
            problems.push(Problem::new(key, None, "there is no such annotation", fix));
        } else if pod.annotation(key).is_none() {
            let fix = "put it in quotes: annotations are text";
            problems.push(Problem::new(key, None, "it is not text", fix));
        }
    }
}

struct Reader<'a> {
    pod: Pod<'a>,
    problems: &'a mut Vec<Problem>,
}

impl<'a> Reader<'a> {
    fn inject(&mut self) {
        if let Some(found) = self.pod.annotation(INJECT).filter(|found| *found != "true") {
            self.wrong(
                "inject",
                Some(found),
                "neither true nor false",
                "write \"true\" or \"false\"",
            );
        }
    }

    fn source(&mut self) -> Option<Source> {
        let written = ["resource-url", "issuer", "scopes", "log-level", "tls-secret"];
        if self.text("config-map").is_some() {
            for key in written {
                if self.text(key).is_some() {
                    let why = "config-map is there too, and says all of this";
                    self.wrong(key, None, why, "keep the one or the other");
                }
            }
            return self.optional("config-map", name, NAME_FIX).map(Source::Map);
        }
        let fix = "write the address that clients are given, for example \
                   https://mcp.example.com/mcp, or name a config-map";
        let resource_url = self.required("resource-url", fix);
        let fix = "write the authorization server's issuer, as its metadata spells it";
        let issuer = self.required("issuer", fix);
        let scopes = self.plain("scopes").unwrap_or_default();
        if scopes.contains(',') {
            self.wrong("scopes", Some(scopes), "it holds a comma", "put spaces between scopes");
        }
        let log_level = self.plain("log-level").unwrap_or("info").to_owned();
        Some(Source::Annotations {
            resource_url: resource_url?.to_owned(),
            issuer: issuer?.to_owned(),
            scopes: scopes.split_whitespace().map(str::to_owned).collect(),
            log_level,
        })
    }

    fn style(&mut self) -> Style {
        match self.text("sidecar") {
            None | Some("native") => Style::Native,
            Some("classic") => Style::Classic,
            Some(found) => {
                self.wrong("sidecar", Some(found), "no such kind", "write native or classic");
                Style::Native
            }
        }
    }

    fn port(&mut self) -> Option<u16> {
        if let Some(found) = self.text("port") {
            let port = found.parse().ok().filter(|port| *port != 0 && !found.starts_with('+'));
            if port.is_none() {
                let fix = "write the number of the port that the app listens on, for example 8080";
                self.wrong("port", Some(found), "not a port", fix);
            }
            return port;
        }
        let declared = self.pod.ports();
        let fix = "write the port that the app listens on";
        match declared.as_slice() {
            [port] => return Some(*port),
            [] => self.wrong("port", None, "no container declares a TCP port", fix),
            several => {
                let why = format!("several TCP ports are declared: {several:?}");
                self.wrong("port", None, why, fix);
            }
        }
        None
    }

    fn quantity(&mut self, key: &str) -> Option<String> {
        let fix = "write for example 100m, 0.5 or 64Mi";
        self.optional(key, is_quantity, ("not a quantity", fix))
    }

    fn optional(
        &mut self,
        key: &str,
        fits: fn(&str) -> bool,
        (why, fix): (&str, &str),
    ) -> Option<String> {
        let found = self.text(key)?;
        if fits(found) {
            return Some(found.to_owned());
        }
        self.wrong(key, Some(found), why, fix);
        None
    }

    fn required(&mut self, key: &str, fix: &str) -> Option<&'a str> {
        if self.text(key).is_none() {
            self.wrong(key, None, "it is missing", fix);
        }
        self.plain(key)
    }

    /// What goes into the configuration, where `${…}` would be looked up: inside the proxy's container,
    /// and here already when it is checked.
    fn plain(&mut self, key: &str) -> Option<&'a str> {
        let found = self.text(key)?;
        if found.contains("${") {
            let why = "references are not for annotations";
            self.wrong(key, Some(found), why, "write the value itself, or use a config-map");
            return None;
        }
        Some(found)
    }

    fn text(&self, key: &str) -> Option<&'a str> {
        self.pod.annotation(&format!("{PREFIX}{key}"))
    }

    fn wrong(&mut self, key: &str, found: Option<&str>, why: impl Into<String>, fix: &str) {
        self.problems.push(Problem::new(format!("{PREFIX}{key}"), found, why, fix));
    }
}

/// A name of an object: RFC 1123 labels, joined by dots.
fn name(text: &str) -> bool {
    let label = |label: &str| {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !label.is_empty()
            && label.bytes().all(plain)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

const NAME_FIX: (&str, &str) =
    ("not a name that an object can have", "write lower-case letters, digits, dashes and dots");

fn is_quantity(text: &str) -> bool {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text.strip_prefix(number).unwrap_or_default();
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let units = ["", "m", "k", "M", "G", "T", "Ki", "Mi", "Gi", "Ti"];
    text.len() <= 20 && digits(whole) && digits(fraction) && units.contains(&unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_as_kubernetes_reads_them() {
        for good in ["1", "100m", "0.5", "64Mi", "1.5Gi", "2k"] {
            assert!(is_quantity(good), "{good}");
        }
        for bad in ["", "m", "-1", "1 Mi", "1mi", ".5", "5.", "1e3", "64MiB", "0x10", "½"] {
            assert!(!is_quantity(bad), "{bad}");
        }
    }

    #[test]
    fn names_are_labels_joined_by_dots() {
        for good in ["a", "postern-config", "a.b-c.d1"] {
            assert!(name(good), "{good}");
        }
        let long = "a".repeat(254);
        for bad in ["", ".", "a..b", "-a", "a-", "A", "a_b", "a/b", "../x", "a\n", &long] {
            assert!(!name(bad), "{bad}");
        }
    }
}
