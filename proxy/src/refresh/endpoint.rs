//! Where an issuer is asked about its tokens: from its metadata, which may move it.

use std::sync::Arc;

use tokio::time::sleep;

use super::metadata::{self, Member};
use super::schedule::{USUAL, after};
use super::source::NoKeys;
use crate::config::{Introspection, IntrospectionEndpoint, Source};
use crate::holder::KeyHolder;
use crate::outbound::Outbound;

/// The one writer of an endpoint that is discovered. What was known stays when that fails.
pub(super) async fn keep_known(holder: KeyHolder, outbound: Outbound) {
    let Source::Introspection(introspection) = &holder.issuer.source else { return };
    if introspection.endpoint != IntrospectionEndpoint::Discover {
        return;
    }
    let issuer = holder.issuer.issuer.as_str();
    let mut failures = 0;
    loop {
        match look(&holder, introspection, &outbound).await {
            Ok(moved) => {
                failures = 0;
                if let Some(endpoint) = moved.then(|| holder.endpoint.load_full()).flatten() {
                    tracing::info!(issuer, %endpoint, "introspection");
                }
            }
            Err(why) => {
                failures += 1;
                let kept = holder.endpoint.load().is_some();
                tracing::warn!(issuer, %why, kept, "introspection endpoint not found");
            }
        }
        sleep(after(failures, USUAL)).await;
    }
}

/// Asks where it is, unless that was written; tells whether it is another place than before.
pub(super) async fn look(
    holder: &KeyHolder,
    introspection: &Introspection,
    outbound: &Outbound,
) -> Result<bool, NoKeys> {
    if introspection.endpoint != IntrospectionEndpoint::Discover {
        return Ok(false);
    }
    let issuer = &holder.issuer.issuer;
    let outbound = outbound.on_behalf_of_issuer(issuer);
    let found = metadata::find(&outbound, issuer, Member::Introspection).await?;
    let moved = holder.endpoint.load().as_deref() != Some(&found);
    if moved {
        holder.endpoint.store(Some(Arc::new(found)));
    }
    Ok(moved)
}
