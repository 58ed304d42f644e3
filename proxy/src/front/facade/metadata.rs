//! What we say of ourselves where we stand in for an issuer (RFC 8414).

use serde_json::json;

use super::Desk;
use crate::pipeline::front::Reply;
use crate::reason::Reason;

impl Desk<'_> {
    /// Only what is done here, and nothing of the issuer's: who comes to us does not go there.
    pub(super) fn metadata(&self) -> Reply {
        let origin = self.origin();
        let mut document = json!({
            "issuer": origin,
            "authorization_endpoint": format!("{origin}/authorize"),
            "token_endpoint": format!("{origin}/token"),
            "registration_endpoint": format!("{origin}/register"),
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_methods_supported": ["none"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": true,
            "client_id_metadata_document_supported": self.rules.documents,
        });
        let scopes = self.front.rules.overrides.get(SCOPES);
        if let (Some(document), Some(scopes)) = (document.as_object_mut(), scopes) {
            document.insert(SCOPES.into(), scopes.clone());
        }
        Reply::public(Reason::Mirror, document.to_string().into())
    }
}

const SCOPES: &str = "scopes_supported";
