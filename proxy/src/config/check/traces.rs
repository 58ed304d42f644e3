//! Whether parts of traces are sent to a collector.

use http::{HeaderName, HeaderValue};
use url::Url;

use super::value::Checked;
use crate::config::Traces;
use crate::config::file::Section;
use crate::config::invalid::Wrong;

/// The section `traces`.
pub(super) fn rules(root: &mut Section<'_>) -> Option<Traces> {
    let mut section = root.section("traces")?;
    let fix = "write where the collector takes OTLP over HTTP: http://127.0.0.1:4318/v1/traces";
    let endpoint = section.required("endpoint", endpoint, fix);
    let sample = section.optional("sample", share).unwrap_or(1.0);
    let written = section.table("headers", value);
    let mut headers = Vec::new();
    for (name, value) in written {
        if let Ok(name) = HeaderName::try_from(name) {
            headers.push((name, value));
        } else {
            let wrong = Wrong::new("a name in it is none that a header can have", NAME);
            section.wrong("headers", None, wrong);
        }
    }
    Some(Traces { endpoint: endpoint?, headers, sample })
}

const NAME: &str = "use letters, digits and dashes, for example X-Api-Key";

/// Collectors are inside, where many speak plain HTTP: nothing that they are told is secret.
fn endpoint(text: &str) -> Checked<Url> {
    let url = Url::parse(text).map_err(|error| {
        Wrong::new(
            format!("not a URL: {error}"),
            "write for example http://127.0.0.1:4318/v1/traces",
        )
    })?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Wrong::new("it carries a user name or a password", "put a key into headers"));
    }
    match url.scheme() {
        "http" | "https" if url.has_host() && url.path() != "/" => Ok(url),
        "http" | "https" => {
            Err(Wrong::new("it has no path", "collectors take traces at /v1/traces: write it out"))
        }
        _ => Err(Wrong::new(
            "neither https nor http",
            "OTLP over gRPC is not spoken; write the HTTP port, usually 4318",
        )),
    }
}

fn share(text: &str) -> Checked<f64> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| {
        Wrong::new("not a share between 0 and 1", "write for example 0.1 for one in ten")
    })
}

fn value(text: &str) -> Checked<HeaderValue> {
    let mut value = HeaderValue::from_str(text)
        .map_err(|_| Wrong::new("not what a header can say", "use printable ASCII alone"))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_is_named_by_the_place_that_takes_traces() {
        for good in [
            "http://127.0.0.1:4318/v1/traces",
            "http://collector.observability.svc:4318/v1/traces",
            "https://otlp.example.com/otlp/v1/traces?x=1",
        ] {
            assert_eq!(endpoint(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "collector:4318",
            "grpc://collector:4317",
            "http://collector:4318",
            "http://a:b@c/d",
        ] {
            assert!(endpoint(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_share_is_between_none_and_all() {
        assert!((share("0.25").unwrap() - 0.25).abs() < f64::EPSILON);
        for bad in ["", "-0.1", "1.1", "10%", "NaN", "inf"] {
            assert!(share(bad).is_err(), "{bad}");
        }
    }
}
