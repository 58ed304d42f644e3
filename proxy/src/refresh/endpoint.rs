//! Where an issuer is asked about its tokens: from its metadata, which may move it.

use std::sync::Arc;

use tokio::time::sleep;

use super::metadata::{self, Member};
use super::schedule::{USUAL, after};
use crate::config::{IntrospectionEndpoint, Source};
use crate::outbound::Outbound;
use crate::snapshot::KeyHolder;

/// The one writer of an endpoint that is discovered. What was known stays when that fails.
pub(super) async fn keep_known(holder: KeyHolder, outbound: Outbound) {
    let Source::Introspection(introspection) = &holder.issuer.source else { return };
    if introspection.endpoint != IntrospectionEndpoint::Discover {
        return;
    }
    let issuer = &holder.issuer.issuer;
    let outbound = outbound.on_behalf_of_issuer(issuer);
    let mut failures = 0;
    loop {
        match metadata::find(&outbound, issuer, Member::Introspection).await {
            Ok(found) => {
                failures = 0;
                if holder.endpoint.load().as_deref() != Some(&found) {
                    tracing::info!(issuer = issuer.as_str(), endpoint = %found, "introspection");
                    holder.endpoint.store(Some(Arc::new(found)));
                }
            }
            Err(why) => {
                failures += 1;
                let kept = holder.endpoint.load().is_some();
                let issuer = issuer.as_str();
                tracing::warn!(issuer, %why, kept, "introspection endpoint not found");
            }
        }
        sleep(after(failures, USUAL)).await;
    }
}
