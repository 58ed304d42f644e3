//! Looks at a server, beside all requests.

use std::time::Duration;

use http::header::HOST;
use pingora_core::connectors::ConnectorOptions;
use pingora_core::connectors::http::v1::Connector;
use pingora_core::{Error, ErrorType, Result};
use pingora_http::RequestHeader;
use tokio::time::timeout;

use super::backend::Backend;
use crate::config::Check;

/// Connects as requests do, but never on their connections.
pub(super) struct Prober(Connector);

impl Prober {
    pub(super) fn new() -> Self {
        let mut options = ConnectorOptions::new(1);
        // Nothing is kept, and no store of authorities is read for plain connections.
        options.ca_file = Some("/dev/null".into());
        Self(Connector::new(Some(options)))
    }

    /// Whether it can be connected to, and answers as it should if it is asked anything.
    pub(super) async fn look(&self, backend: &Backend, check: Option<&Check>) -> Result<()> {
        let patience = check.map_or(PATIENCE, |check| check.interval.min(PATIENCE));
        match timeout(patience, self.ask(backend, check)).await {
            Ok(found) => found,
            Err(_) => Error::e_explain(ErrorType::ReadTimedout, format!("within {patience:?}")),
        }
    }

    async fn ask(&self, backend: &Backend, check: Option<&Check>) -> Result<()> {
        let (mut session, _) = self.0.get_http_session(&backend.peer(false)).await?;
        let Some((check, path)) = check.and_then(|check| Some((check, check.path.as_ref()?)))
        else {
            return Ok(());
        };
        let mut request = RequestHeader::build("GET", path.as_bytes(), None)?;
        request.insert_header(HOST, backend.host())?;
        session.write_request_header(Box::new(request)).await?;
        session.read_response().await?;
        match session.get_status() {
            Some(status) if status.as_u16() == check.status => Ok(()),
            Some(status) => {
                Error::e_explain(ErrorType::HTTPStatus(status.as_u16()), "of its check")
            }
            None => Error::e_explain(ErrorType::ReadError, "no status"),
        }
    }
}

const PATIENCE: Duration = Duration::from_secs(5);
