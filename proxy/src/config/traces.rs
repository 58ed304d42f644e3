//! Where parts of traces are sent.

use http::{HeaderName, HeaderValue};
use url::Url;

/// The collector, and how much it hears.
#[derive(Clone, Debug, PartialEq)]
pub struct Traces {
    /// Where it takes OTLP over HTTP.
    pub endpoint: Url,
    /// What it wants to be told with that: a key, say.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// How many of the requests that come without a trace begin one that is told of: from 0 to 1.
    pub sample: f64,
}
