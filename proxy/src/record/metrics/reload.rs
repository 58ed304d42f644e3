//! What becomes of changes that are made while the proxy runs.

use std::path::Path;

use prometheus::{IntCounter, IntGauge, IntGaugeVec, Registry};

use super::register::{counters, gauge, gauges};

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

/// Of all certificates of the listener, by their files.
#[derive(Clone, Debug)]
pub(super) struct CertificateMetrics {
    expires: IntGaugeVec,
    current: IntGaugeVec,
}

impl CertificateMetrics {
    pub(super) fn new(all: &Registry) -> prometheus::Result<Self> {
        Ok(Self {
            expires: gauges(
                all,
                "postern_certificate_expiry_timestamp_seconds",
                "When a certificate that clients are shown expires.",
                &["file"],
            )?,
            current: gauges(
                all,
                "postern_certificate_current",
                "Whether a certificate that clients are shown is the one in its file.",
                &["file"],
            )?,
        })
    }

    pub(super) fn of(&self, file: &Path) -> CertificateGauges {
        let file = file.display().to_string();
        CertificateGauges {
            expires: self.expires.with_label_values(&[&file]),
            current: self.current.with_label_values(&[&file]),
        }
    }
}

/// Of one of them.
#[derive(Clone, Debug)]
pub(crate) struct CertificateGauges {
    expires: IntGauge,
    current: IntGauge,
}

impl CertificateGauges {
    /// `expires` is told since 1970.
    pub(crate) fn taken(&self, expires: i64) {
        self.expires.set(expires);
        self.current.set(1);
    }

    pub(crate) fn refused(&self) {
        self.current.set(0);
    }
}
