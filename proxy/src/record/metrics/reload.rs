//! What becomes of changes that are made while the proxy runs.

use prometheus::{Gauge, IntCounter, IntGauge, Registry};

use super::register::{counters, gauge, register};

/// Of the configuration.
#[derive(Clone, Debug)]
pub(crate) struct ReloadGauges {
    taken: IntCounter,
    refused: IntCounter,
    current: IntGauge,
}

impl ReloadGauges {
    pub(super) fn new(all: &Registry) -> prometheus::Result<Self> {
        let name = "postern_config_reloads_total";
        let reloads = counters(all, name, "Configurations that were tried.", &["result"])?;
        Ok(Self {
            taken: reloads.with_label_values(&["ok"]),
            refused: reloads.with_label_values(&["refused"]),
            current: gauge(
                all,
                "postern_config_current",
                "Whether the configuration in force is the one in its file.",
            )?,
        })
    }

    pub(crate) fn current(&self, current: bool) {
        self.current.set(current.into());
    }

    pub(crate) fn taken(&self) {
        self.taken.inc();
        self.current(true);
    }

    pub(crate) fn refused(&self) {
        self.refused.inc();
        self.current(false);
    }
}

/// Of the listener's certificate.
#[derive(Clone, Debug)]
pub(crate) struct CertificateGauges {
    expires: Gauge,
    current: IntGauge,
}

impl CertificateGauges {
    pub(super) fn new(all: &Registry) -> prometheus::Result<Self> {
        Ok(Self {
            expires: register(
                all,
                Gauge::new(
                    "postern_certificate_expiry_timestamp_seconds",
                    "When the certificate that clients are shown expires.",
                )?,
            )?,
            current: gauge(
                all,
                "postern_certificate_current",
                "Whether the certificate that clients are shown is the one in its file.",
            )?,
        })
    }

    /// Since 1970.
    #[expect(clippy::cast_precision_loss, reason = "no date is so far off")]
    pub(crate) fn taken(&self, expires: i64) {
        self.expires.set(expires as f64);
    }

    pub(crate) fn current(&self, current: bool) {
        self.current.set(current.into());
    }
}
