//! What becomes of changes that are made while the proxy runs.

use std::path::Path;

use prometheus::{IntCounter, IntGauge, IntGaugeVec, Registry};

use super::register::{counter, counters, gauge, gauges};

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

/// Of successors. Of one that serves, only its own metrics can tell.
#[derive(Clone, Debug)]
pub(crate) struct UpgradeCounts {
    failed: IntCounter,
}

impl UpgradeCounts {
    pub(super) fn new(all: &Registry) -> prometheus::Result<Self> {
        let help = "Successors (SIGUSR2) that could not take over from this process.";
        Ok(Self { failed: counter(all, "postern_upgrades_failed_total", help)? })
    }

    pub(crate) fn failed(&self) {
        self.failed.inc();
    }
}

/// Of all certificates, and lists of revoked ones, by their files.
#[derive(Clone, Debug)]
pub(super) struct CertificateMetrics {
    expires: IntGaugeVec,
    lists_expire: IntGaugeVec,
    current: IntGaugeVec,
}

impl CertificateMetrics {
    pub(super) fn new(all: &Registry) -> prometheus::Result<Self> {
        Ok(Self {
            expires: gauges(
                all,
                "postern_certificate_expiry_timestamp_seconds",
                "When the first certificate in a file expires: one that is shown, or an authority's.",
                &["file"],
            )?,
            lists_expire: gauges(
                all,
                "postern_crl_expiry_timestamp_seconds",
                "When a list of revoked client certificates is too old to be gone by.",
                &["file"],
            )?,
            current: gauges(
                all,
                "postern_certificate_current",
                "Whether what is in force of a file of certificates is what is in it.",
                &["file"],
            )?,
        })
    }

    pub(super) fn of(&self, file: &Path) -> CertificateGauges {
        let file = file.display().to_string();
        CertificateGauges { all: self.clone(), file }
    }
}

/// Of one of them.
#[derive(Clone, Debug)]
pub(crate) struct CertificateGauges {
    all: CertificateMetrics,
    file: String,
}

impl CertificateGauges {
    /// `expires` is told since 1970.
    pub(crate) fn taken(&self, expires: i64) {
        self.all.expires.with_label_values(&[&self.file]).set(expires);
        self.current(true);
    }

    /// Likewise, of lists of what is revoked.
    pub(crate) fn taken_list(&self, expires: i64) {
        self.all.lists_expire.with_label_values(&[&self.file]).set(expires);
        self.current(true);
    }

    pub(crate) fn refused(&self) {
        self.current(false);
    }

    fn current(&self, current: bool) {
        self.all.current.with_label_values(&[&self.file]).set(current.into());
    }
}
