//! How a request ended: the one list of names that the log, the metrics, `postern explain` and the
//! documentation use.

mod about;

pub(crate) use about::About;

impl Reason {
    /// By which those know it who look for attacks; none, if it is about no caller.
    pub(crate) fn security_event(self) -> Option<&'static str> {
        let code = self.code();
        if AUTHENTICATION.contains(&self) {
            return Some("authentication");
        }
        if AUTHORIZATION.contains(&self) {
            return Some("authorization");
        }
        // The front's: who logs in.
        if code.starts_with("login_") {
            return Some("authentication");
        }
        let of_tokens = ["token_", "proof_", "certificate_"];
        let is_of_tokens = of_tokens.iter().any(|prefix| code.starts_with(prefix));
        (is_of_tokens || self == Self::StreamEnded).then_some("token_validation")
    }
}

/// Whether anybody says who they are.
const AUTHENTICATION: [Reason; 3] =
    [Reason::NoCredentials, Reason::BadCredentials, Reason::TooManyFailures];

/// Whether somebody known may do what they want to.
const AUTHORIZATION: [Reason; 5] = [
    Reason::Forwarded,
    Reason::InsufficientScope,
    Reason::Denied,
    Reason::ConditionFailed,
    Reason::UnknownSession,
];

macro_rules! reasons {
    ($($name:ident = $code:literal,)*) => {
        /// One name for each end that a request can come to. What each means is told in `codes.md`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Reason { $($name,)* }

        impl Reason {
            /// Every one there is.
            pub(crate) const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Of that name.
            pub(crate) fn named(code: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|reason| reason.code() == code)
            }

            /// Its name, which never changes.
            pub(crate) fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }
        }
    };
}

reasons! {
    Forwarded = "forwarded",
    Metadata = "metadata",
    Landing = "landing",
    Health = "health",
    Mirror = "mirror",
    Front = "front",
    LoginBegun = "login_begun",
    LoginDone = "login_done",
    LoginRenewed = "login_renewed",
    Preflight = "preflight",

    ForeignHost = "foreign_host",
    ForeignOrigin = "foreign_origin",
    NotFound = "not_found",
    WrongMethod = "wrong_method",
    AmbiguousPath = "ambiguous_path",

    HttpVersion = "http_version",
    BadHost = "bad_host",
    BadLength = "bad_length",
    BadTarget = "bad_target",
    BadMethod = "bad_method",
    TargetTooLong = "target_too_long",
    HeadTooLarge = "head_too_large",
    BodyTooLarge = "body_too_large",
    RepeatedHeader = "repeated_header",
    BadHandshake = "bad_handshake",
    Torn = "torn",
    TooSlow = "too_slow",

    NoCredentials = "no_credentials",
    BadCredentials = "bad_credentials",
    TokenNotAJwt = "token_not_a_jwt",
    TokenAlgorithm = "token_algorithm",
    TokenAlgorithmNotListed = "token_algorithm_not_listed",
    TokenCritical = "token_critical",
    TokenKeyId = "token_key_id",
    TokenIssuer = "token_issuer",
    NoKeys = "no_keys",
    NoIntrospection = "no_introspection",
    TokenInactive = "token_inactive",
    TokenType = "token_type",
    TokenKind = "token_kind",
    TokenAudience = "token_audience",
    TokenExpired = "token_expired",
    TokenNotYetValid = "token_not_yet_valid",
    TokenTooLong = "token_too_long",
    TokenUnknownKey = "token_unknown_key",
    TokenKeyWithdrawn = "token_key_withdrawn",
    TokenSignature = "token_signature",
    TokenBound = "token_bound",
    TokenClaim = "token_claim",
    TokenRevoked = "token_revoked",

    TokenSentAsBearer = "token_sent_as_bearer",
    TokenNotBound = "token_not_bound",
    TokenBoundRequired = "token_bound_required",
    CertificateMissing = "certificate_missing",
    CertificateOther = "certificate_other",
    ProofMissing = "proof_missing",
    ProofRepeated = "proof_repeated",
    ProofNotAJwt = "proof_not_a_jwt",
    ProofCritical = "proof_critical",
    ProofClaim = "proof_claim",
    ProofType = "proof_type",
    ProofAlgorithm = "proof_algorithm",
    ProofSignature = "proof_signature",
    ProofKey = "proof_key",
    ProofMethod = "proof_method",
    ProofTarget = "proof_target",
    ProofNonce = "proof_nonce",
    ProofTime = "proof_time",
    ProofOtherToken = "proof_other_token",
    ProofOtherKey = "proof_other_key",
    ProofReplayed = "proof_replayed",
    ProofsFull = "proofs_full",

    BodyWithoutCall = "body_without_call",
    ContentType = "content_type",
    ContentEncoding = "content_encoding",
    NoLength = "no_length",
    BadJson = "bad_json",
    Batch = "batch",
    BadMessage = "bad_message",
    BadParams = "bad_params",
    HeaderMismatch = "header_mismatch",

    InsufficientScope = "insufficient_scope",
    Denied = "denied",
    ConditionFailed = "condition_failed",
    TokenRefusedByBackend = "token_refused_by_backend",
    UnknownSession = "unknown_session",
    TooManyFailures = "too_many_failures",
    TooManyRequests = "too_many_requests",
    TooManyStreams = "too_many_streams",

    LoginRequest = "login_request",
    LoginReturn = "login_return",
    LoginUnknown = "login_unknown",
    LoginExpired = "login_expired",
    LoginUsed = "login_used",
    LoginIssuer = "login_issuer",
    LoginDenied = "login_denied",
    LoginFailed = "login_failed",
    LoginCode = "login_code",
    LoginRefreshToken = "login_refresh_token",
    LoginCredentials = "login_credentials",
    LoginAnswer = "login_answer",
    LoginIdToken = "login_id_token",
    FrontRequest = "front_request",
    FrontClient = "front_client",
    FrontRedirectUri = "front_redirect_uri",
    FrontState = "front_state",
    FrontDenied = "front_denied",
    FrontGrant = "front_grant",
    FrontIssuer = "front_issuer",
    FrontUnavailable = "front_unavailable",

    NoAudit = "no_audit",
    BackendDown = "backend_down",
    BackendFull = "backend_full",
    BadGateway = "bad_gateway",
    UpstreamTls = "upstream_tls",
    UpstreamTlsName = "upstream_tls_name",
    UpstreamTlsAuthority = "upstream_tls_authority",
    UpstreamTlsExpired = "upstream_tls_expired",
    BadList = "bad_list",
    GatewayTimeout = "gateway_timeout",
    Broken = "broken",
    StreamEnded = "stream_ended",
    Stopping = "stopping",
    Internal = "internal",
}
