//! New tokens for a refresh token. Whoever has one may use it: it comes in the body and from nowhere else,
//! so that a page can use none that its visitor's browser keeps.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::page::refusal;
use super::refused::Refused;
use super::tokens::Tokens;
use super::{Login, broker, issuer};
use crate::config::front::Through;
use crate::front::{Caller, Front};
use crate::pipeline::claims::Claims;
use crate::pipeline::front::Reply;
use crate::reason::Reason;

impl Login {
    pub(in crate::front) async fn renew(&self, front: &Front, caller: Caller<'_>) -> Reply {
        match self.try_to_renew(front, caller).await {
            Ok(tokens) => {
                let told = Value::Object(tokens.told());
                Reply::json(Reason::LoginRenewed, StatusCode::OK, &told)
            }
            Err(refused) => refusal(refused, false, &self.again),
        }
    }

    async fn try_to_renew(&self, front: &Front, caller: Caller<'_>) -> Result<Tokens, Refused> {
        if !is_json(&caller.request.headers) {
            // A form, which any page may send anywhere without asking, is none.
            return Err(Refused::NotJson);
        }
        let body = Claims::read(caller.body).ok_or(Refused::NoRefreshToken)?;
        let token = body.text("refresh_token").filter(|token| !token.is_empty());
        let token = token.ok_or(Refused::NoRefreshToken)?;
        match &self.rules.through {
            Through::Issuer { client, .. } => {
                let metadata = front.metadata().await.ok_or(Refused::Unavailable)?;
                issuer::renew(self, client, &metadata, token).await
            }
            Through::Broker(broker) => broker::renew(self, broker, token).await,
        }
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}
