//! By which names a request can be found again: in our log, the client's and the backend's.

mod trace;

use std::net::IpAddr;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

pub(crate) use trace::Parts;
pub use trace::Roots;
use trace::Trace;

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
    trace: Option<Trace>,
    /// Whether it stood in the headers, so that what stands beside it there is about it.
    in_headers: bool,
}

impl Trail {
    /// What the client says, where it is well formed; the rest is made of `random`. Traces are begun only
    /// where some are told of.
    pub fn read(
        headers: &HeaderMap,
        roots: Option<Roots>,
        mut random: impl FnMut() -> [u8; 16],
    ) -> Self {
        let said = |name| only(headers, name).filter(|id| is_id(id.as_bytes())).cloned();
        let (request, correlation) = (said(&REQUEST_ID), said(&CORRELATION_ID));
        let parent = only(headers, &TRACEPARENT);
        if let (Some(request), None, None) = (&request, parent, roots) {
            let correlation = correlation.unwrap_or_else(|| request.clone());
            return Self { request: request.clone(), correlation, trace: None, in_headers: false };
        }
        let own = random();
        let trace = parent.and_then(|parent| Trace::continued(parent, own));
        let in_headers = trace.is_some();
        let trace = trace.or_else(|| Trace::begun(roots?, random(), own));
        let request = request.or_else(|| HeaderValue::from_maybe_shared(hex(own)).ok());
        // Hexadecimal digits always fit.
        let request = request.unwrap_or(HeaderValue::from_static("-"));
        let correlation = correlation.unwrap_or_else(|| request.clone());
        Self { request, correlation, trace, in_headers }
    }

    /// Goes on with the trace that a message names, unless a header named one: that is the nearer one.
    pub(crate) fn go_on(&mut self, parent: &str, random: impl FnOnce() -> [u8; 16]) {
        if self.in_headers {
            return;
        }
        let parent = HeaderValue::from_str(parent).ok();
        let trace = parent.and_then(|parent| Trace::continued(&parent, random()));
        self.trace = trace.or(self.trace.take());
    }

    pub(crate) fn request_id(&self) -> &str {
        text(&self.request)
    }

    /// Unless it is the request's.
    pub(crate) fn correlation_id(&self) -> Option<&str> {
        (self.correlation != self.request).then(|| text(&self.correlation))
    }

    pub(crate) fn trace_id(&self) -> Option<&str> {
        self.trace.as_ref()?.id()
    }

    /// The same, if the trace's parts are told of.
    pub(crate) fn sampled_trace_id(&self) -> Option<&str> {
        self.trace.as_ref().filter(|trace| trace.is_sampled())?.id()
    }

    /// Of the trace whose parts are told of.
    pub(crate) fn parts(&self) -> Option<Parts> {
        self.trace.as_ref()?.parts()
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
        // Without the trace that they belong to they say nothing.
        if !self.in_headers {
            for name in [TRACEPARENT, TRACESTATE, BAGGAGE] {
                headers.remove(name);
            }
        }
        if let Some(trace) = &self.trace {
            headers.insert(TRACEPARENT, trace.header().clone());
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

/// Thirty-two digits, the first of which is not 0: a parent of zeros is none.
fn hex(mut random: [u8; 16]) -> Bytes {
    let [first, ..] = &mut random;
    *first |= 0x10;
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0');
    random.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";
const LONGEST_ID: usize = 128;

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
        Trail::read(&headers, None, || random)
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

    #[test]
    fn a_trace_in_the_message_goes_on_unless_a_header_has_one() {
        let inner = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01";
        let named = |fields: &[(&'static str, &str)], said: &str| {
            let mut trail = trail(fields);
            trail.go_on(said, || [7; 16]);
            let mut headers = HeaderMap::new();
            headers.insert("tracestate", HeaderValue::from_static("v=1"));
            trail.write(&mut headers);
            let is_outer = fields.iter().any(|(name, _)| *name == "traceparent");
            assert_eq!(headers.contains_key("tracestate"), is_outer, "else it is another trace's");
            headers.get("traceparent").map(|parent| parent.to_str().unwrap().to_owned())
        };
        let ours = "00-0123456789abcdef0123456789abcdef-1707070707070707-01";
        assert_eq!(named(&[("x-request-id", "a")], inner).as_deref(), Some(ours));
        for none in ["", "x", "00-0-0-01", "a\nb"] {
            assert_eq!(named(&[("x-request-id", "a")], none), None, "{none:?}");
        }
        let outer = named(&[("traceparent", TRACE)], inner).unwrap();
        assert!(outer.starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"), "{outer}");
    }

    #[test]
    fn where_traces_are_told_of_each_request_has_one() {
        let headers = HeaderMap::from_iter([(REQUEST_ID, HeaderValue::from_static("a"))]);
        let mut count = 0;
        let trail = Trail::read(&headers, Some(Roots::of(1.0)), || {
            count += 1;
            [count; 16]
        });
        assert_eq!(trail.request_id(), "a");
        assert_eq!(trail.trace_id(), Some("12020202020202020202020202020202"));
        assert_eq!(trail.sampled_trace_id(), trail.trace_id());
        assert_eq!(trail.parts().unwrap().caller, None);
    }
}
