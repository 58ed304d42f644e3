//! A trace that a request belongs to (W3C Trace Context, version 00).

use bytes::Bytes;
use http::HeaderValue;

use super::{hex, text};

/// One trace, with our part in it as the parent of what comes after us.
#[derive(Clone, Debug)]
pub(super) struct Trace {
    header: HeaderValue,
    /// What came before us, if we did not begin it.
    parent: Option<HeaderValue>,
}

/// How many of the requests that come without a trace begin one that is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roots(u64);

/// By what the parts of a trace are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parts {
    pub(crate) trace: [u8; 16],
    /// Of whoever called us.
    pub(crate) caller: Option<[u8; 8]>,
    /// What the backend hears: the request to it.
    pub(crate) upstream: [u8; 8],
}

impl Roots {
    /// A share between 0 and 1.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share is no exact number, and the ends stay ends"
    )]
    pub(crate) fn of(share: f64) -> Self {
        Self((share.clamp(0.0, 1.0) * u64::MAX as f64) as u64)
    }

    /// Replicas would decide alike: by the trace's own number.
    fn take(self, trace: [u8; 16]) -> bool {
        let number = trace.iter().skip(8).fold(0, |number, byte| number << 8 | u64::from(*byte));
        self.0 == u64::MAX || number < self.0
    }
}

impl Trace {
    /// The same trace and flags; its parent is now our part of it. None, if `parent` is no trace.
    pub(super) fn continued(parent: &HeaderValue, own: [u8; 16]) -> Option<Self> {
        if !is_one(parent.as_bytes()) {
            return None;
        }
        let mut ours = parent.as_bytes().to_vec();
        ours.get_mut(PARENT_ID)?.copy_from_slice(hex(own).get(..16)?);
        let header = HeaderValue::from_maybe_shared(Bytes::from(ours)).ok()?;
        Some(Self { header, parent: Some(parent.clone()) })
    }

    /// A new one, whose parent is our part of it.
    pub(super) fn begun(roots: Roots, trace: [u8; 16], own: [u8; 16]) -> Option<Self> {
        let flags: &[u8] = if roots.take(trace) { b"-01" } else { b"-00" };
        let (trace, own) = (hex(trace), hex(own));
        let parts = [b"00-", &*trace, b"-", own.get(..16)?, flags];
        let header = HeaderValue::from_maybe_shared(Bytes::from(parts.concat())).ok()?;
        Some(Self { header, parent: None })
    }

    /// As the upstream hears it.
    pub(super) fn header(&self) -> &HeaderValue {
        &self.header
    }

    pub(super) fn id(&self) -> Option<&str> {
        text(&self.header).get(TRACE_ID)
    }

    /// Whether its parts are to be told of.
    pub(super) fn is_sampled(&self) -> bool {
        let flags = self.header.as_bytes().last();
        flags.is_some_and(|digit| {
            char::from(*digit).to_digit(16).is_some_and(|digit| digit & 1 == 1)
        })
    }

    /// If they are.
    pub(super) fn parts(&self) -> Option<Parts> {
        self.is_sampled().then_some(())?;
        let caller = self.parent.as_ref().and_then(|parent| number(parent, PARENT_ID));
        Some(Parts {
            trace: number(&self.header, TRACE_ID)?,
            caller,
            upstream: number(&self.header, PARENT_ID)?,
        })
    }
}

fn number<const N: usize>(header: &HeaderValue, place: std::ops::Range<usize>) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let digits = text(header).get(place)?;
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(digits.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(bytes)
}

/// Its number, trace, parent and flags. A version that nobody here knows cannot be continued.
fn is_one(parent: &[u8]) -> bool {
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

/// Where they stand in a `traceparent`.
const TRACE_ID: std::ops::Range<usize> = 3..35;
const PARENT_ID: std::ops::Range<usize> = 36..52;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_traces_begin_as_are_wanted() {
        let taken = |share: f64| {
            let numbers = (0..=u8::MAX).map(|number| [number; 16]);
            numbers.filter(|number| Roots::of(share).take(*number)).count()
        };
        assert_eq!([taken(0.0), taken(0.25), taken(0.5), taken(1.0)], [0, 64, 128, 256]);
        assert_eq!((taken(-1.0), taken(7.0), taken(f64::NAN)), (0, 256, 0));
    }

    #[test]
    fn a_trace_that_we_begin_has_its_flag_by_its_number() {
        let begun = |share, trace| Trace::begun(Roots::of(share), trace, [7; 16]).unwrap();
        let all = begun(1.0, [0xbb; 16]);
        let header = "00-bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb-1707070707070707-01";
        assert_eq!(all.header(), header);
        assert!(all.is_sampled());
        let parts =
            Parts { trace: [0xbb; 16], caller: None, upstream: [0x17, 7, 7, 7, 7, 7, 7, 7] };
        assert_eq!(all.parts(), Some(parts));
        let none = begun(0.0, [0xbb; 16]);
        assert!(none.header().to_str().unwrap().ends_with("-00") && none.parts().is_none());
    }

    #[test]
    fn whether_a_trace_is_told_of_is_up_to_who_began_it() {
        for (flags, is_sampled) in [("00", false), ("01", true), ("02", false), ("ff", true)] {
            let parent = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}");
            let parent = HeaderValue::from_str(&parent).unwrap();
            let trace = Trace::continued(&parent, [7; 16]).unwrap();
            assert_eq!(trace.parts().is_some(), is_sampled, "{flags}");
            if let Some(parts) = trace.parts() {
                assert_eq!(parts.caller, Some(0x00f0_67aa_0ba9_02b7_u64.to_be_bytes()));
            }
        }
    }
}
