//! What of an authorization server's metadata is passed on.

/// What a field of the metadata holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An address.
    Address,
    /// Names.
    Names,
    /// Yes or no.
    Flag,
}

/// Every field that is passed on and may be overridden, besides `issuer`: those of RFC 8414 and `OpenID`
/// Connect Discovery that clients go by, and of later documents what changes how they ask.
pub(crate) const FIELDS: &[(&str, Kind)] = &[
    ("authorization_endpoint", Kind::Address),
    ("token_endpoint", Kind::Address),
    ("jwks_uri", Kind::Address),
    ("registration_endpoint", Kind::Address),
    ("scopes_supported", Kind::Names),
    ("response_types_supported", Kind::Names),
    ("response_modes_supported", Kind::Names),
    ("grant_types_supported", Kind::Names),
    ("token_endpoint_auth_methods_supported", Kind::Names),
    ("token_endpoint_auth_signing_alg_values_supported", Kind::Names),
    ("service_documentation", Kind::Address),
    ("ui_locales_supported", Kind::Names),
    ("op_policy_uri", Kind::Address),
    ("op_tos_uri", Kind::Address),
    ("revocation_endpoint", Kind::Address),
    ("revocation_endpoint_auth_methods_supported", Kind::Names),
    ("introspection_endpoint", Kind::Address),
    ("introspection_endpoint_auth_methods_supported", Kind::Names),
    ("code_challenge_methods_supported", Kind::Names),
    ("userinfo_endpoint", Kind::Address),
    ("end_session_endpoint", Kind::Address),
    ("acr_values_supported", Kind::Names),
    ("subject_types_supported", Kind::Names),
    ("id_token_signing_alg_values_supported", Kind::Names),
    ("display_values_supported", Kind::Names),
    ("prompt_values_supported", Kind::Names),
    ("claim_types_supported", Kind::Names),
    ("claims_supported", Kind::Names),
    ("claims_parameter_supported", Kind::Flag),
    ("request_parameter_supported", Kind::Flag),
    ("request_uri_parameter_supported", Kind::Flag),
    ("authorization_response_iss_parameter_supported", Kind::Flag),
    ("client_id_metadata_document_supported", Kind::Flag),
    ("device_authorization_endpoint", Kind::Address),
    ("pushed_authorization_request_endpoint", Kind::Address),
    ("require_pushed_authorization_requests", Kind::Flag),
    ("dpop_signing_alg_values_supported", Kind::Names),
    ("tls_client_certificate_bound_access_tokens", Kind::Flag),
    ("authorization_details_types_supported", Kind::Names),
];
