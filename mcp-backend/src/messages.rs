//! What a client's log is told, if it wants to know.
#![expect(deprecated, reason = "SEP-2577: logging is on its way out, and clients still have it")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{LoggingLevel, LoggingMessageNotificationParam, ProtocolVersion};
use rmcp::service::RequestContext;
use serde_json::Value;

/// From which level on one client wants to hear: since `logging/setLevel`, or with each request.
#[derive(Clone, Debug)]
pub(crate) struct Threshold(Arc<AtomicU8>);

impl Default for Threshold {
    fn default() -> Self {
        Self(Arc::new(AtomicU8::new(rank(LoggingLevel::Info))))
    }
}

impl Threshold {
    pub(crate) fn set(&self, level: LoggingLevel) {
        self.0.store(rank(level), Ordering::Relaxed);
    }

    /// Waited for no longer than that makes sense: when stdin has ended nobody takes it.
    pub(crate) async fn tell(
        &self,
        context: &RequestContext<RoleServer>,
        level: LoggingLevel,
        data: impl FnOnce() -> Value,
    ) {
        let wanted = match (context.meta.log_level(), context.protocol_version()) {
            (Some(level), _) => rank(level),
            // Since then whoever does not ask, with this very request, is told nothing.
            (None, Some(version)) if version >= ProtocolVersion::V_2026_07_28 => return,
            (None, _) => self.0.load(Ordering::Relaxed),
        };
        if rank(level) < wanted {
            return;
        }
        let message =
            LoggingMessageNotificationParam::new(level, data()).with_logger(env!("CARGO_PKG_NAME"));
        let told = context.peer.notify_logging_message(message);
        drop(tokio::time::timeout(PATIENCE, told).await);
    }
}

fn rank(level: LoggingLevel) -> u8 {
    match level {
        LoggingLevel::Debug => 0,
        LoggingLevel::Info => 1,
        LoggingLevel::Notice => 2,
        LoggingLevel::Warning => 3,
        LoggingLevel::Error => 4,
        LoggingLevel::Critical => 5,
        LoggingLevel::Alert => 6,
        LoggingLevel::Emergency => 7,
    }
}

const PATIENCE: Duration = Duration::from_millis(250);
