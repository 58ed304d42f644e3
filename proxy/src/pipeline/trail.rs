//! By which names a request can be found again: in our log, the client's and the backend's.

use std::net::IpAddr;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

/// Where one request comes from, and what it is called.
#[derive(Debug)]
pub struct Arrival {
    /// The client's.
    pub address: IpAddr,
    /// What it is called.
    pub trail: Trail,
}

/// The names of one request. They are labels and prove nothing: anybody can write them.
#[derive(Debug)]
pub struct Trail {
    request: HeaderValue,
    correlation: HeaderValue,
    /// `traceparent` as the upstream hears it.
    trace: Option<HeaderValue>,
}

impl Trail {
    /// What the client says, where it is well formed; the rest is made of `random`.
    pub fn read(headers: &HeaderMap, random: impl FnOnce() -> [u8; 16]) -> Self {
        let said = |name| only(headers, name).filter(|id| is_id(id.as_bytes())).cloned();
        let (request, correlation) = (said(&REQUEST_ID), said(&CORRELATION_ID));
        let trace = only(headers, &TRACEPARENT).filter(|parent| is_trace(parent.as_bytes()));
        if let (Some(request), None) = (&request, trace) {
            let correlation = correlation.unwrap_or_else(|| request.clone());
            return Self { request: request.clone(), correlation, trace: None };
        }
        let own = hex(random());
        let trace = trace.and_then(|parent| continued(parent, &own));
        let request = request.or_else(|| HeaderValue::from_maybe_shared(own).ok());
        // Hexadecimal digits always fit.
        let request = request.unwrap_or(HeaderValue::from_static("-"));
        let correlation = correlation.unwrap_or_else(|| request.clone());
        Self { request, correlation, trace }
    }

    pub(crate) fn request_id(&self) -> &str {
        text(&self.request)
    }

    /// Unless it is the request's.
    pub(crate) fn correlation_id(&self) -> Option<&str> {
        (self.correlation != self.request).then(|| text(&self.correlation))
    }

    pub(crate) fn trace_id(&self) -> Option<&str> {
        text(self.trace.as_ref()?).get(TRACE_ID)
    }

    /// What the client hears.
    pub(crate) fn returned(&self) -> [(HeaderName, &HeaderValue); 2] {
        [(REQUEST_ID, &self.request), (CORRELATION_ID, &self.correlation)]
    }

    /// Tells the upstream, in the place of what the client said.
    pub(super) fn write(&self, headers: &mut HeaderMap) {
        for (name, value) in self.returned() {
            headers.insert(name, value.clone());
        }
        match &self.trace {
            Some(parent) => {
                headers.insert(TRACEPARENT, parent.clone());
            }
            // Without the trace that they belong to they say nothing.
            None => {
                for name in [TRACEPARENT, TRACESTATE, BAGGAGE] {
                    headers.remove(name);
                }
            }
        }
    }
}

/// The value of a field that is there once.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h HeaderValue> {
    let mut fields = headers.get_all(name).iter();
    fields.next().filter(|_| fields.next().is_none())
}

fn text(value: &HeaderValue) -> &str {
    value.to_str().unwrap_or_default()
}

fn is_id(id: &[u8]) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
    (1..=LONGEST_ID).contains(&id.len()) && id.iter().all(is_plain)
}

/// W3C Trace Context, version 00: its number, trace, parent and flags. A version that nobody here
/// knows cannot be continued.
fn is_trace(parent: &[u8]) -> bool {
    let mut parts = parent.split(|&byte| byte == b'-');
    let mut digits = |length| {
        let part = parts.next().filter(|part| part.len() == length);
        part.filter(|part| part.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')))
    };
    let is_some = |part: &[u8]| part.iter().any(|&byte| byte != b'0');
    digits(2) == Some(b"00")
        && digits(32).is_some_and(is_some)
        && digits(16).is_some_and(is_some)
        && digits(2).is_some()
        && parts.next().is_none()
}

/// The same trace and flags; its parent is now our part of it.
fn continued(parent: &HeaderValue, own: &[u8]) -> Option<HeaderValue> {
    let mut ours = parent.as_bytes().to_vec();
    ours.get_mut(PARENT_ID)?.copy_from_slice(own.get(..16)?);
    HeaderValue::from_maybe_shared(Bytes::from(ours)).ok()
}

/// Thirty-two digits, the first of which is not 0: a parent of zeros is none.
fn hex(mut random: [u8; 16]) -> Bytes {
    let [first, ..] = &mut random;
    *first |= 0x10;
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0');
    random.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";
const LONGEST_ID: usize = 128;

/// Where they stand in a `traceparent`.
const TRACE_ID: std::ops::Range<usize> = 3..35;
const PARENT_ID: std::ops::Range<usize> = 36..52;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const BAGGAGE: HeaderName = HeaderName::from_static("baggage");

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "1b000000000000000000000000000007";

    fn trail(fields: &[(&'static str, &str)]) -> Trail {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let mut random = [0; 16];
        (random[0], random[15]) = (0x0b, 7);
        Trail::read(&headers, || random)
    }

    #[test]
    fn a_well_formed_id_is_kept_and_any_other_replaced() {
        let long = "x".repeat(128);
        for good in ["a", "0aB._-", "7f3c9d1e-0000-7000-8000-0123456789ab", &long] {
            let trail = trail(&[("x-request-id", good)]);
            assert_eq!((trail.request_id(), trail.correlation_id()), (good, None));
        }
        let too_long = "x".repeat(129);
        for bad in ["", "a b", "a,b", "a\"", "a/b", "\u{e9}", "a\tb", "{}", &too_long] {
            assert_eq!(trail(&[("x-request-id", bad)]).request_id(), OWN, "{bad:?}");
        }
        let twice = [("x-request-id", "a"), ("x-request-id", "a")];
        assert_eq!(trail(&twice).request_id(), OWN);
        assert_eq!(trail(&[]).request_id(), OWN);
    }

    #[test]
    fn what_is_correlated_with_nothing_is_with_itself() {
        let both = [("x-request-id", "a"), ("x-correlation-id", "b")];
        assert_eq!(trail(&both).correlation_id(), Some("b"));
        assert_eq!(trail(&[("x-correlation-id", "b")]).correlation_id(), Some("b"));
        let torn = trail(&[("x-request-id", "a"), ("x-correlation-id", "b b")]);
        assert_eq!((torn.request_id(), torn.correlation_id()), ("a", None));
    }

    const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn goes_up(fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        trail(fields).write(&mut headers);
        headers
    }

    #[test]
    fn a_trace_goes_on_and_we_are_a_part_of_it() {
        let with_id = [("traceparent", TRACE), ("x-request-id", "a"), ("tracestate", "v=1")];
        for fields in [&with_id[..1], &with_id[..]] {
            assert_eq!(trail(fields).trace_id(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
            let headers = goes_up(fields);
            let ours = "00-4bf92f3577b34da6a3ce929d0e0e4736-1b00000000000000-01";
            assert_eq!(headers["traceparent"], ours);
            assert_eq!(headers.contains_key("tracestate"), fields.len() == 3);
        }
    }

    #[test]
    fn a_trace_that_is_none_goes_no_further() {
        for bad in [
            "",
            "00",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-00",
            " 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
            "00_4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7_01",
        ] {
            let headers =
                goes_up(&[("traceparent", bad), ("tracestate", "v=1"), ("baggage", "a=b")]);
            for name in ["traceparent", "tracestate", "baggage"] {
                assert!(!headers.contains_key(name), "{name} with {bad:?}");
            }
        }
        let headers = goes_up(&[("traceparent", TRACE), ("traceparent", TRACE)]);
        assert!(!headers.contains_key("traceparent"));
        assert!(!goes_up(&[("baggage", "a=b")]).contains_key("baggage"));
    }
}
