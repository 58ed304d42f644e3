//! One inquiry: what is sent, and what of the answer counts.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use http::{HeaderValue, StatusCode};
use tokio::sync::Semaphore;
use url::Url;
use url::form_urlencoded::Serializer;

use crate::config::{ClientAuthentication, Introspection, IntrospectionEndpoint};
use crate::holder::KeyHolder;
use crate::outbound::{Failed, Outbound, credentials};
use crate::pipeline::authenticate::Told;
use crate::pipeline::token::Inquiry;

/// Knows where to ask, and as whom.
pub(super) struct Inquirer {
    endpoint: Arc<ArcSwapOption<Url>>,
    introspection: Introspection,
    outbound: Outbound,
}

impl Inquirer {
    pub(super) fn new(
        introspection: &Introspection,
        holder: &KeyHolder,
        outbound: &Outbound,
    ) -> Self {
        let outbound = match &introspection.endpoint {
            IntrospectionEndpoint::Url(url) => outbound.on_behalf_of(url),
            IntrospectionEndpoint::Discover => outbound.on_behalf_of_issuer(&holder.issuer.issuer),
        };
        Self {
            endpoint: Arc::clone(&holder.endpoint),
            introspection: introspection.clone(),
            outbound,
        }
    }

    /// Waits for a slot, then for the answer.
    pub(super) async fn ask(
        &self,
        inquiry: Inquiry,
        slots: &Semaphore,
    ) -> Result<Arc<Told>, Unanswered> {
        let _slot = slots.acquire().await.map_err(|_| Unanswered::Crowded)?;
        let endpoint = self.endpoint.load_full().ok_or(Unanswered::NoEndpoint)?;
        let (form, authorization) = written(&self.introspection, inquiry.token());
        drop(inquiry);
        match self.outbound.post(&endpoint, form, authorization).await {
            Ok(answer) => Told::read(&answer).map(Arc::new).ok_or(Unanswered::Malformed),
            Err(Failed::Status(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)) => {
                let authentication = match self.introspection.authentication {
                    ClientAuthentication::Basic => "client_secret_basic",
                    ClientAuthentication::Post => "client_secret_post",
                };
                Err(Unanswered::Credentials(authentication))
            }
            Err(failed) => Err(Unanswered::Failed(failed)),
        }
    }
}

/// The form, and the header beside it (RFC 7662 section 2.1, RFC 6749 section 2.3.1).
fn written(introspection: &Introspection, token: &str) -> (String, Option<HeaderValue>) {
    let (id, secret) = (&introspection.client_id, introspection.client_secret.expose());
    let mut form = Serializer::new(String::new());
    form.append_pair("token", token).append_pair("token_type_hint", "access_token");
    let header = credentials::show(&mut form, id, secret, introspection.authentication);
    (form.finish(), header)
}

/// Why nobody can say what a token is worth.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unanswered {
    #[error("its introspection endpoint is not known yet")]
    NoEndpoint,
    #[error(
        "its introspection endpoint does not accept our own credentials: look at client_id, \
         client_secret and authentication ({0}) in issuers[].introspection"
    )]
    Credentials(&'static str),
    #[error("its introspection endpoint: {0}")]
    Failed(#[source] Failed),
    #[error(
        "its introspection endpoint did not answer with JSON that says `active` once, true or false"
    )]
    Malformed,
    #[error("its introspection endpoint did not answer in time")]
    Late,
    #[error("too many tokens are being asked about")]
    Crowded,
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;
    use crate::config::{Config, Source};

    fn introspection(authentication: &str) -> Introspection {
        let text = format!(
            "tls: off\nresource: {{url: 'https://mcp.example/mcp'}}\nupstream: {{address: 'unix:/b'}}\n\
             issuers: [{{issuer: 'https://id.example', introspection: {{client_id: 'a:b', \
             client_secret: 'ü +&%:\"', authentication: {authentication}}}}}]"
        );
        match Config::parse(&text).unwrap().rules.issuers.remove(0).source {
            Source::Introspection(introspection) => introspection,
            Source::Keys(_) => panic!("it has no keys"),
        }
    }

    #[test]
    fn special_characters_survive_either_way() {
        let (form, header) = written(&introspection("client_secret_basic"), "t+/=");
        assert_eq!(form, "token=t%2B%2F%3D&token_type_hint=access_token");
        let header = header.unwrap();
        assert!(header.is_sensitive());
        let pair = header.to_str().unwrap().strip_prefix("Basic ").unwrap();
        assert_eq!(STANDARD.decode(pair).unwrap(), b"a%3Ab:%C3%BC+%2B%26%25%3A%22");

        let (form, header) = written(&introspection("client_secret_post"), "t");
        let credentials = "client_id=a%3Ab&client_secret=%C3%BC+%2B%26%25%3A%22";
        assert_eq!(form, format!("token=t&token_type_hint=access_token&{credentials}"));
        assert!(header.is_none());
    }
}
