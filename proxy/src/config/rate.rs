//! How often somebody may do something.

use std::fmt;
use std::time::Duration;

/// So many at once; then again as many, evenly, in each window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub count: u32,
    /// In which time: a second, a minute or an hour.
    pub window: Duration,
}

impl Rate {
    /// No window is longer.
    pub const LONGEST: Duration = Duration::from_hours(1);

    /// After what time one more is allowed.
    pub(crate) fn interval(self) -> Duration {
        self.window / self.count.max(1)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = match self.window.as_secs() {
            ..=1 => "s",
            2..=60 => "min",
            _ => "h",
        };
        write!(f, "{}/{unit}", self.count)
    }
}

/// How often callers may call, and fail. None: as often as they like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rates {
    /// Bad tokens and proofs of one source.
    pub failed_authentication: Option<Rate>,
    /// Requests of one source to the OAuth front.
    pub visits: Option<Rate>,
    /// Requests of one principal to one site.
    pub requests_per_principal: Option<Rate>,
    /// Requests of one client to one site, whoever uses it.
    pub requests_per_client: Option<Rate>,
    /// Requests of one principal that are open at one site at once.
    pub streams_per_principal: Option<u32>,
}
