use super::*;
use crate::config::{
    AuditTo, ClientAuthentication, IntrospectionEndpoint, Nonces, Rate, Source, Upstream,
};

const GOOD: &str = "\
listen: 127.0.0.1:8443
tls: off
resource:
  url: https://mcp.example/mcp
  scopes: [mcp:read]
issuers:
  - issuer: https://id.example
upstream:
  address: unix:/run/backend.sock
";

fn good() -> Config {
    Config::parse(GOOD).unwrap()
}

/// What is said about a good file in which one thing is spoilt.
#[track_caller]
fn refusal(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from:?} is not in the good file");
    Config::parse(&GOOD.replacen(from, to, 1)).expect_err("it should be refused").to_string()
}

#[track_caller]
fn refuses(from: &str, to: &str, line: usize, key: &str) {
    let message = refusal(from, to);
    assert!(message.starts_with("1 problem "), "{message}");
    assert!(message.contains(&format!("\n  line {line}: {key}")), "{message}");
    assert!(message.contains("why: ") && message.contains("fix: "), "{message}");
}

#[test]
fn the_annotated_reference_is_a_good_file_and_tells_the_defaults() {
    let written = include_str!("../../../../config/postern.yaml");
    let written = Config::parse(written).unwrap();
    let minimal = good();
    assert_eq!(format!("{:?}", written.boot.limits), format!("{:?}", minimal.boot.limits));
    assert_eq!(written.boot.proxies.client_from, minimal.boot.proxies.client_from);
    assert_eq!(minimal.boot.proxies.networks, []);
    let with_tls = Config::parse(&GOOD.replace("off", "{certificate: a, key: b}")).unwrap();
    assert_eq!(written.rules.rates, with_tls.rules.rates);
    assert_eq!(written.boot.admin, minimal.boot.admin);
    assert_eq!(written.boot.listen, minimal.boot.listen);
    assert_eq!(written.boot.log, minimal.boot.log);
    assert_eq!(written.boot.shutdown_timeout, minimal.boot.shutdown_timeout);
    assert_eq!(
        written.rules.sites[0].forward.authorization,
        minimal.rules.sites[0].forward.authorization
    );
    let backend = |config: &Config| {
        let Upstream { connect_timeout, answer_timeout, open_requests, .. } =
            config.rules.sites[0].upstream;
        (connect_timeout, answer_timeout, open_requests)
    };
    assert_eq!(backend(&written), backend(&minimal));
    let check = written.rules.sites[0].upstream.check.clone().unwrap();
    let plain = GOOD.replace("  address:", "  check: {path: /healthz}\n  address:");
    assert_eq!(Some(check), Config::parse(&plain).unwrap().rules.sites[0].upstream.check);
    let lists = |config: &Config| config.rules.sites[0].policy.lists;
    assert_eq!(lists(&written), lists(&minimal));
    assert_eq!(written.rules.sites[0].websocket, minimal.rules.sites[0].websocket);
    assert_eq!(written.rules.client_certificates, minimal.rules.client_certificates);
    assert_eq!(written.rules.dpop.required, minimal.rules.dpop.required);
    assert!(!minimal.rules.dpop.offered, "an authorization server may not know it");
    let Source::Introspection(asked) = &written.rules.issuers[1].source else { panic!() };
    let minimal_asked = Config::parse(&asked_with("")).unwrap();
    let Source::Introspection(minimal_asked) = &minimal_asked.rules.issuers[0].source else {
        panic!()
    };
    assert_eq!(asked.endpoint, minimal_asked.endpoint);
    assert_eq!(asked.authentication, minimal_asked.authentication);
    assert_eq!(asked.cache, minimal_asked.cache);
    let (written, minimal) = (&written.rules.issuers[0], &minimal.rules.issuers[0]);
    assert_eq!(written.algorithms, minimal.algorithms);
    assert_eq!(format!("{:?}", written.source), format!("{:?}", minimal.source));
    assert_eq!(written.keys_max_age, minimal.keys_max_age);
    assert_eq!((written.typ, written.leeway), (minimal.typ, minimal.leeway));
    assert_eq!(written.azp_as_audience, minimal.azp_as_audience);
    assert_eq!(written.claims.subject, minimal.claims.subject);
    assert_eq!(written.claims.scopes, minimal.claims.scopes);
}

#[test]
fn trusted_proxies_are_somewhere_and_speak_in_one_way() {
    let with = |section: &str| format!("tls: off\ntrusted_proxies: {section}\n");
    let spoilt = |section: &str, key: &str| refuses("tls: off\n", &with(section), 3, key);
    spoilt("{}", "trusted_proxies.networks");
    spoilt("{client_from: forwarded}", "trusted_proxies.networks");
    spoilt("{networks: []}", "trusted_proxies.networks");
    spoilt("{networks: [10.0.0.1]}", "trusted_proxies.networks[0]");
    spoilt("{networks: [10.0.0.0/8], client_from: x-real-ip}", "trusted_proxies.client_from");
    let good = GOOD.replace("tls: off\n", &with("{networks: [10.0.0.0/8]}"));
    let proxies = Config::parse(&good).unwrap().boot.proxies;
    assert!(proxies.trusts([10, 1, 2, 3].into()) && !proxies.trusts([11, 1, 2, 3].into()));
}

#[test]
fn no_claim_takes_the_place_of_what_every_request_says() {
    for header in ["X-Request-Id", "X-Correlation-ID", "X-Forwarded-For", "X-Forwarded-User"] {
        let spoilt = format!("tls: off\nforward: {{claims: {{email: {header}}}}}\n");
        refuses("tls: off\n", &spoilt, 3, "forward.claims.email");
    }
}

#[test]
fn failures_are_limited_where_sources_are_known() {
    let limited = |tls: &str| {
        let config = Config::parse(&GOOD.replace("tls: off", tls)).unwrap();
        config.rules.rates.failed_authentication.is_some()
    };
    assert!(limited("tls: {certificate: a, key: b}"));
    assert!(!limited("tls: off") && !limited("tls: terminated-in-front"));
    assert!(limited("tls: terminated-in-front\ntrusted_proxies: {networks: [10.0.0.0/8]}"));
    assert!(limited("tls: off\nlimits: {failed_authentication: 1/s}"));
    assert!(!limited("tls: {certificate: a, key: b}\nlimits: {failed_authentication: off}"));
}

#[test]
fn a_limit_is_a_rate_a_number_or_off() {
    let with = |limits: &str| format!("tls: off\nlimits: {{{limits}}}\n");
    let rates = |limits: &str| {
        let text = GOOD.replace("tls: off\n", &with(limits));
        Config::parse(&text).unwrap().rules.rates
    };
    assert_eq!(rates("streams_per_principal: off").streams_per_principal, None);
    assert_eq!(rates("streams_per_principal: 7").streams_per_principal, Some(7));
    let rate = Rate { count: 5, window: Duration::from_secs(1) };
    assert_eq!(rates("requests_per_client: 5/s").requests_per_client, Some(rate));
    for key in ["failed_authentication", "requests_per_principal", "requests_per_client"] {
        let spoilt = with(&format!("{key}: 5"));
        refuses("tls: off\n", &spoilt, 3, &format!("limits.{key}"));
    }
    let none = with("streams_per_principal: 0");
    refuses("tls: off\n", &none, 3, "limits.streams_per_principal");
    let more = with("target_bytes: 9KiB, header_bytes: 8KiB");
    refuses("tls: off\n", &more, 3, "limits.target_bytes");
    let less = GOOD.replace("tls: off\n", &with("header_bytes: 4KiB"));
    assert!(Config::parse(&less).is_ok(), "a target that fits no head is refused with it");
}

#[test]
fn a_nonce_key_is_long_and_for_something() {
    let long = "x".repeat(32);
    refuses("tls: off\n", "tls: off\ndpop: {nonce: true, nonce_key: short}\n", 3, "dpop.nonce_key");
    for without in ["", "nonce: false, "] {
        let spoilt = format!("tls: off\ndpop: {{{without}nonce_key: {long}}}\n");
        refuses("tls: off\n", &spoilt, 3, "dpop.nonce_key");
    }
    refuses("tls: off\n", "tls: off\ndpop: {required: sometimes}\n", 3, "dpop.required");
    let message = refusal("tls: off\n", "tls: off\ndpop: {nonce: true, nonce_key: short}\n");
    assert!(!message.contains("short}") && !message.contains("\"short\""), "{message}");
    let good = GOOD
        .replace("tls: off\n", &format!("dpop: {{nonce: true, nonce_key: {long}}}\ntls: off\n"));
    let dpop = Config::parse(&good).unwrap().rules.dpop;
    assert!(matches!(dpop.nonces, Nonces::SharedKey(_)));
    assert!(!format!("{dpop:?}").contains("xxx"), "{dpop:?}");
}

#[test]
fn what_sessions_are_sealed_with_is_long_and_never_shown() {
    let with = |keys: &str| format!("tls: off\nsession: {{keys: {keys}}}\n");
    let long = "x".repeat(32);
    let keys = |text: &str| Config::parse(&GOOD.replace("tls: off\n", text)).unwrap().rules;
    assert!(keys("tls: off\n").session_keys.is_empty());
    let two = keys(&with(&format!("[{long}, {long}y]")));
    assert_eq!(two.session_keys[1].expose(), format!("{long}y"));
    assert!(!format!("{two:?}").contains("xxx"), "{two:?}");
    refuses("tls: off\n", &with("[short]"), 3, "session.keys[0]");
    refuses("tls: off\n", &with(&format!("[{long}, '']")), 3, "session.keys[1]");
    refuses("tls: off\n", &with("['${file:/no/such/key}']"), 3, "session.keys[0]");
    refuses("tls: off\n", &with("[[a]]"), 3, "session.keys[0]");
    refuses("tls: off\n", &with("[]"), 3, "session.keys");
    refuses("tls: off\n", &with(&long), 3, "session.keys");
    refuses("tls: off\n", "tls: off\nsession: {}\n", 3, "session.keys");
    let message = refusal("tls: off\n", &with("[short]"));
    assert!(!message.contains("short]") && !message.contains("\"short\""), "{message}");
}

#[test]
fn a_client_is_asked_for_its_certificate_where_tls_ends_here() {
    let tls = |more: &str| format!("tls: {{certificate: a, key: b{more}}}");
    let asked = |more: &str| {
        let config = Config::parse(&GOOD.replace("tls: off", &tls(more))).unwrap();
        config.rules.client_certificates
    };
    assert_eq!(asked(""), ClientCertificates::Off);
    assert_eq!(asked(", client_certificates: off"), ClientCertificates::Off);
    assert_eq!(asked(", client_certificates: asked"), ClientCertificates::Asked);
    let key = "tls.client_certificates";
    refuses("tls: off", &tls(", client_certificates: yes"), 2, key);
}

#[test]
fn whom_to_believe_is_told_where_clients_are_asked_and_only_there() {
    let tls = |more: &str| format!("tls: {{certificate: a, key: b{more}}}");
    let files = ", client_ca_files: [c], client_crl_files: [d]";
    for asked in ["asked", "required"] {
        let text = tls(&format!(", client_certificates: {asked}{files}"));
        let config = Config::parse(&GOOD.replace("tls: off", &text)).unwrap();
        let Tls::Here { clients, .. } = config.boot.tls else { panic!() };
        assert_eq!(clients.authorities, [PathBuf::from("c")]);
        assert_eq!(clients.revoked, [PathBuf::from("d")]);
    }
    let refused = |more: &str, key| refuses("tls: off", &tls(more), 2, key);
    refused(files, "tls.client_ca_files");
    refused(", client_certificates: required", "tls.client_certificates");
    refused(", client_certificates: asked, client_ca_files: []", "tls.client_ca_files");
    refused(", client_certificates: asked, client_crl_files: [d]", "tls.client_crl_files");
}

#[test]
fn sites_have_what_a_single_resource_has() {
    let site = |url: &str| {
        format!("  - resource: {{url: '{url}'}}\n    upstream: {{address: 'unix:/b'}}\n")
    };
    let file = |sites: &str| {
        format!("tls: off\nissuers: [{{issuer: https://id.example}}]\nsites:\n{sites}")
    };
    let two = site("https://a.example/mcp") + &site("https://a.example/mcp/b");
    assert_eq!(Config::parse(&file(&two)).unwrap().rules.sites.len(), 2);
    let message = |text: &str| Config::parse(text).unwrap_err().to_string();
    let twice = site("https://a.example/mcp") + &site("https://a.example/mcp");
    assert!(message(&file(&twice)).contains("another site has the same host and path"));
    let named = site("https://a.example/mcp").replace("mcp'", "mcp', hosts: ['b.example:443']")
        + &site("https://b.example/mcp");
    assert!(message(&file(&named)).contains("another site has the same host and path"));
    let both = file(&two) + "resource: {url: https://b.example/mcp}\n";
    assert!(message(&both).contains("sites are listed, and each has its own"));
    let shared = file(&two).replace("https://id.example", "https://id.example, audiences: [x]");
    assert!(message(&shared).contains("a token for one site would be good at all of them"));
    assert!(message(&file("  []\n")).contains("nothing is protected"));
    let lacking = file("  - resource: {url: https://a.example/mcp}\n");
    assert!(message(&lacking).contains("sites[0].upstream"), "{}", message(&lacking));
}

#[test]
fn hosts_and_origins_are_spelled_as_clients_spell_them() {
    let with = |setting: &str| format!("  url: https://mcp.example/mcp\n  {setting}\n");
    let url = "  url: https://mcp.example/mcp\n";
    for host in ["https://a", "a/b", "*", "a b", "", "u@a"] {
        refuses(url, &with(&format!("hosts: ['{host}']")), 5, "resource.hosts[0]");
    }
    for origin in ["https://a/", "a", "null", "https://A.example", "https://a:443", ""] {
        refuses(url, &with(&format!("origins: ['{origin}']")), 5, "resource.origins[0]");
    }
}

#[test]
fn a_leeway_has_an_end() {
    let with = |setting: &str| format!("  - issuer: https://id.example\n    {setting}\n");
    let issuer = "  - issuer: https://id.example\n";
    refuses(issuer, &with("leeway: 301s"), 8, "issuers[0].leeway");
    refuses(issuer, &with("typ: jwt"), 8, "issuers[0].typ");
    refuses(issuer, &with("max_lifetime: 0s"), 8, "issuers[0].max_lifetime");
    let leeway = |text: &str| {
        let config = Config::parse(&GOOD.replacen(issuer, &with(text), 1)).unwrap();
        config.rules.issuers[0].leeway
    };
    assert_eq!(leeway("leeway: 5m"), Duration::from_mins(5));
    assert_eq!(leeway("leeway: 0s"), Duration::ZERO);
}

#[test]
fn a_claim_is_not_read_for_scopes_and_roles_at_once() {
    let issuer = "  - issuer: https://id.example\n";
    for (claims, key) in [
        ("{roles: [scp]}", "roles"),
        ("{roles: [/scp]}", "roles"),
        ("{scopes: [g], groups: [g]}", "groups"),
    ] {
        let spoilt = format!("{issuer}    claims: {claims}\n");
        refuses(issuer, &spoilt, 8, &format!("issuers[0].claims.{key}"));
    }
}

#[test]
fn without_audiences_the_resource_is_the_audience() {
    assert_eq!(good().rules.issuers[0].audiences, [""; 0]);
}

#[test]
fn the_token_is_stripped_unless_the_file_says_otherwise() {
    assert_eq!(good().rules.sites[0].forward.authorization, crate::config::Authorization::Strip);
}

#[test]
fn an_empty_file_lacks_everything_that_has_no_default() {
    let message = Config::parse("").unwrap_err().to_string();
    for key in ["tls", "resource", "issuers", "upstream"] {
        assert!(message.contains(&format!("{key}\n    why: it is missing")), "{message}");
    }
}

#[test]
fn every_problem_is_told_at_once() {
    let bad = GOOD.replace("https:", "http:").replace("tls: off", "tsl: off");
    let message = Config::parse(&bad).unwrap_err().to_string();
    for key in ["line 2: tsl", "line 4: resource.url", "line 7: issuers[0].issuer", "  tls\n"] {
        assert!(message.contains(key), "{key} in {message}");
    }
}

#[test]
fn refuses_an_unknown_key_and_names_the_one_that_was_meant() {
    refuses("listen:", "lisetn:", 1, "lisetn");
    assert!(refusal("listen:", "lisetn:").contains("fix: write listen"));
}

#[test]
fn refuses_an_unknown_key_inside_a_section() {
    refuses("  scopes:", "  scopse:", 5, "resource.scopse");
    refuses("issuer: https", "jwks: x\n    issuer: https", 7, "issuers[0].jwks");
}

#[test]
fn refuses_a_key_that_is_set_twice() {
    refuses("resource:", "listen: 127.0.0.1:9\nresource:", 3, "listen");
}

#[test]
fn refuses_the_wrong_kind_of_value() {
    refuses("127.0.0.1:8443", "8443", 1, "listen: \"8443\"");
    refuses("127.0.0.1:8443", "[a]", 1, "listen: a list");
    refuses("[mcp:read]", "mcp:read", 5, "resource.scopes: \"mcp:read\"");
    refuses("tls: off", "tls: on", 2, "tls: \"on\"");
}

#[test]
fn refuses_text_that_is_not_yaml_at_its_line() {
    let message = refusal("  scopes: [", "  scopes: [[");
    assert!(message.contains("line ") && message.contains("syntax"), "{message}");
}

#[test]
fn refuses_plain_http_beyond_loopback() {
    refuses("https://mcp.example/mcp", "http://mcp.example/mcp", 4, "resource.url");
    refuses("https://id.example", "http://id.example", 7, "issuers[0].issuer");
    assert!(Config::parse(&GOOD.replace("https://id.example", "http://127.0.0.1:9")).is_ok());
}

#[test]
fn refuses_a_resource_that_clients_would_spell_otherwise() {
    for url in [
        "https://mcp.example/mcp/",
        "https://mcp.example/mcp?x=1",
        "https://mcp.example/mcp#x",
        "https://MCP.example/mcp",
        "https://mcp.example:443/mcp",
        "https://a:b@mcp.example/mcp",
        "https://mcp.example/a/../mcp",
        "https://mcp.example/m%63p",
        "mcp.example/mcp",
    ] {
        refuses("https://mcp.example/mcp", url, 4, "resource.url");
    }
}

#[test]
fn a_resource_may_be_the_root() {
    let config = Config::parse(&GOOD.replace("mcp.example/mcp", "mcp.example")).unwrap();
    assert_eq!(config.rules.sites[0].resource.as_str(), "https://mcp.example");
    assert_eq!(config.rules.sites[0].resource.path(), "");
}

#[test]
fn an_issuer_is_kept_to_the_letter() {
    let config = Config::parse(&GOOD.replace("//id.example", "//ID.example:443/")).unwrap();
    assert_eq!(config.rules.issuers[0].issuer.as_str(), "https://ID.example:443/");
}

#[test]
fn refuses_shared_secrets_and_no_signature() {
    for name in ["HS256", "none", "rs256"] {
        let to = format!("https://id.example\n    algorithms: [{name}]");
        refuses("https://id.example", &to, 8, "issuers[0].algorithms[0]");
    }
}

#[test]
fn refuses_scopes_that_break_a_challenge_or_a_client() {
    for scope in ["'a b'", "'a\"b'", "'a\\b'", "''", "offline_access", "é"] {
        refuses("[mcp:read]", &format!("[mcp:read, {scope}]"), 5, "resource.scopes[1]");
    }
}

#[test]
fn refuses_tokens_in_the_clear_on_a_network() {
    refuses("127.0.0.1:8443", "0.0.0.0:8443", 2, "tls");
    let in_front =
        GOOD.replace("127.0.0.1:8443", "0.0.0.0:8443").replace("off", "terminated-in-front");
    assert_eq!(Config::parse(&in_front).unwrap().boot.tls, Tls::Off);
}

#[test]
fn refuses_an_identity_in_the_clear_on_a_network() {
    refuses("unix:/run/backend.sock", "10.0.0.7:80", 9, "upstream.address");
    let trusted = "10.0.0.7:80\n  trust_network: true";
    assert!(Config::parse(&GOOD.replace("unix:/run/backend.sock", trusted)).is_ok());
}

#[test]
fn a_backend_may_be_several() {
    let of = |address: &str| {
        let text = GOOD.replace("unix:/run/backend.sock", address);
        Config::parse(&text).map(|config| config.rules.sites[0].upstream.clone())
    };
    assert_eq!(of("'127.0.0.1:80'").unwrap(), of("['127.0.0.1:80']").unwrap());
    let several = of("[unix:/run/b.sock, 'localhost:80', '[::1]:80']").unwrap();
    assert_eq!(several.to_string(), "unix:/run/b.sock, localhost:80, [::1]:80");
    let named = of("mcp_1.svc.cluster.local:8080\n  trust_network: true").unwrap();
    assert_eq!(named.to_string(), "mcp_1.svc.cluster.local:8080");
}

#[test]
fn refuses_backends_that_are_none() {
    for address in [
        "localhost",
        "':80'",
        "'localhost:0'",
        "'localhost:65536'",
        "'http://localhost:80'",
        "'127.1:80'",
        "'a..b:80'",
        "'a b:80'",
        "unix:b.sock",
        "'-:80'",
    ] {
        refuses("unix:/run/backend.sock", address, 9, "upstream.address");
    }
    let long = format!("unix:/{}", "x".repeat(107));
    refuses("unix:/run/backend.sock", &long, 9, "upstream.address");
    refuses("unix:/run/backend.sock", "[]", 9, "upstream.address");
    refuses("unix:/run/backend.sock", "[unix:/b, unix:/b]", 9, "upstream.address[1]");
    refuses("unix:/run/backend.sock", "[unix:/b, 'mcp.example:80']", 9, "upstream.address[1]");
}

#[test]
fn refuses_checks_that_make_no_sense() {
    let with = |check: &str| format!("unix:/b\n  check: {{{check}}}");
    for (check, key) in [
        ("path: healthz", "path"),
        ("path: '/a b'", "path"),
        ("status: 200", "status"),
        ("path: /, status: 100", "status"),
        ("interval: 99ms", "interval"),
        ("failures: 0", "failures"),
        ("successes: 0", "successes"),
    ] {
        refuses("unix:/run/backend.sock", &with(check), 10, &format!("upstream.check.{key}"));
    }
    let plain = GOOD.replace("unix:/run/backend.sock", &with("")).replace("{}", "{interval: 1s}");
    let check = Config::parse(&plain).unwrap().rules.sites[0].upstream.check.clone().unwrap();
    assert_eq!((check.path, check.failures, check.successes), (None, 3, 2));
}

#[test]
fn refuses_to_be_its_own_upstream_or_admin() {
    refuses("unix:/run/backend.sock", "127.0.0.1:8443", 8, "upstream");
    refuses("unix:/run/backend.sock", "[unix:/b, '127.0.0.1:8443']", 8, "upstream");
    refuses("tls: off", "tls: off\nadmin: {listen: 127.0.0.1:8443}", 3, "admin");
}

#[test]
fn refuses_a_tls_listener_for_a_resource_without_tls() {
    let bad = GOOD
        .replace("https://mcp.example", "http://localhost")
        .replace("off", "{certificate: /c, key: /k}");
    let message = Config::parse(&bad).unwrap_err().to_string();
    assert!(message.contains("line 3: resource"), "{message}");
}

#[test]
fn refuses_an_issuer_that_is_listed_twice() {
    let twice = "https://id.example\n  - issuer: https://id.example";
    refuses("https://id.example", twice, 8, "issuers[1].issuer");
}

#[test]
fn refuses_two_sources_of_keys_or_none() {
    for keys in ["{url: 'https://a.example/jwks', file: /b}", "{}", "nowhere"] {
        let to = format!("https://id.example\n    keys: {keys}");
        refuses("https://id.example", &to, 8, "issuers[0].keys");
    }
}

#[test]
fn refuses_headers_that_mean_something_else() {
    for header in ["Host", "Authorization", "X_Email", "X-Postern-Subject", "'X Email'", "''"] {
        let to =
            format!("upstream:\n  address: unix:/b\nforward:\n  claims:\n    email: {header}\nx:");
        let message = refusal("upstream:", &to);
        assert!(message.contains("line 12: forward.claims.email"), "{message}");
    }
}

const ISSUER: &str = "  - issuer: https://id.example\n";
const ASKED: &str = "introspection: {client_id: postern, client_secret: s3cret";

fn asked_with(settings: &str) -> String {
    GOOD.replacen(ISSUER, &format!("{ISSUER}    {ASKED}{settings}}}\n"), 1)
}

#[test]
fn an_issuer_that_is_asked_about_its_tokens_needs_a_client_and_no_more() {
    let config = Config::parse(&asked_with("")).unwrap();
    let Source::Introspection(introspection) = &config.rules.issuers[0].source else {
        panic!("{config:?}")
    };
    assert_eq!(introspection.endpoint, IntrospectionEndpoint::Discover);
    assert_eq!(introspection.authentication, ClientAuthentication::Basic);
    assert_eq!(introspection.cache, Duration::from_secs(30));
    assert_eq!(introspection.client_secret.expose(), "s3cret");
    assert!(!format!("{config:?}").contains("s3cret"), "{config:?}");
    for setting in [", cache: 0s", ", cache: 5m", ", endpoint: 'https://id.example/introspect'"] {
        assert!(Config::parse(&asked_with(setting)).is_ok(), "{setting}");
    }
}

#[test]
fn refuses_what_introspection_cannot_mean() {
    let with = |more: &str| format!("{ISSUER}    {ASKED}{more}}}\n");
    for (setting, key) in [
        ("cache: 301s", "cache"),
        ("authentication: private_key_jwt", "authentication"),
        ("endpoint: http://id.example/introspect", "endpoint"),
        ("endpoint: somewhere", "endpoint"),
        ("secret: x", "secret"),
    ] {
        let key = format!("issuers[0].introspection.{key}");
        refuses(ISSUER, &with(&format!(", {setting}")), 8, &key);
    }
    for beside in [
        "keys: discover",
        "algorithms: [RS256]",
        "typ: strict",
        "keys: {file: /k}",
        "keys_max_age: 1h",
        "insecure_azp_as_audience: true",
    ] {
        let key = format!("issuers[0].{}", beside.split(':').next().unwrap());
        refuses(ISSUER, &format!("{}    {beside}\n", with("")), 9, &key);
    }
}

#[test]
fn only_one_issuer_is_asked_about_opaque_tokens() {
    let second = format!("  - issuer: https://other.example\n    {ASKED}}}\n");
    let two = format!("{ISSUER}    {ASKED}}}\n{second}");
    refuses(ISSUER, &two, 10, "issuers[1].introspection");
    assert!(refusal(ISSUER, &two).contains("does not say whose it is"));
    assert!(Config::parse(&GOOD.replacen(ISSUER, &format!("{ISSUER}{second}"), 1)).is_ok());
}

#[test]
fn a_clients_secret_is_not_shown_even_where_it_is_wrong() {
    for secret in ["'s3cret-${NO_SUCH_VARIABLE}'", "['s3cret']", "''"] {
        let introspection = format!("introspection: {{client_id: p, client_secret: {secret}}}");
        let message = refusal(ISSUER, &format!("{ISSUER}    {introspection}\n"));
        assert!(message.contains("issuers[0].introspection.client_secret\n"), "{message}");
        assert!(!message.contains("s3cret"), "{message}");
    }
}

#[test]
fn a_secret_is_put_in_and_never_shown() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "top-secret\n").unwrap();
    let reference = format!("${{file:{}}}", file.path().display());
    let message = refusal("127.0.0.1:8443", &reference);
    assert!(message.contains(&reference) && !message.contains("top-secret"), "{message}");
}

#[test]
fn a_reference_in_a_key_is_only_a_key() {
    refuses("listen:", "${PATH}:", 1, "${PATH}");
}

#[test]
fn refuses_keys_that_would_age_in_fair_weather() {
    let aged = |age: &str| format!("https://id.example\n    keys_max_age: {age}");
    refuses("https://id.example", &aged("4m"), 8, "issuers[0].keys_max_age: \"4m\"");
    assert!(Config::parse(&GOOD.replace("https://id.example", &aged("5m"))).is_ok());
}

#[test]
fn refuses_what_is_no_network() {
    let allowed = |network: &str| format!("outbound: {{allow_networks: [{network}]}}\nupstream:");
    for network in ["10.0.0.1/8", "10.0.0.0", "private"] {
        let key = format!("outbound.allow_networks[0]: \"{network}\"");
        refuses("upstream:", &allowed(network), 8, &key);
    }
    let good = Config::parse(&GOOD.replace("upstream:", &allowed("10.0.0.0/8"))).unwrap();
    assert_eq!(good.boot.outbound.allow_networks.len(), 1);
}

/// What is said about this listener, this place for metrics, and this upstream.
#[track_caller]
fn places(listen: &str, admin: &str, upstream: &str) -> Result<Config, String> {
    let text = GOOD
        .replace("listen: 127.0.0.1:8443\ntls: off", &format!("listen: '{listen}'"))
        .replace("address: unix:/run/backend.sock", &format!("address: '{upstream}'"));
    let rest =
        format!("  trust_network: true\ntls: terminated-in-front\nadmin: {{listen: '{admin}'}}\n");
    Config::parse(&(text + &rest)).map_err(|invalid| invalid.to_string())
}

#[test]
fn requests_must_not_come_back_by_any_name_of_the_listener() {
    for (listen, upstream) in [
        ("127.0.0.1:8443", "127.0.0.1:8443"),
        ("127.0.0.1:8443", "0.0.0.0:8443"),
        ("0.0.0.0:8443", "127.0.0.1:8443"),
        ("0.0.0.0:8443", "127.9.9.9:8443"),
        ("0.0.0.0:8443", "[::ffff:127.0.0.1]:8443"),
        ("0.0.0.0:8443", "0.0.0.0:8443"),
        ("[::]:8443", "127.0.0.1:8443"),
        ("[::]:8443", "[::1]:8443"),
        ("[::]:8443", "0.0.0.0:8443"),
        ("[::1]:8443", "[::]:8443"),
    ] {
        let at_upstream = |why: &str| format!("\n  line 7: upstream\n    why: {why}");
        let message = places(listen, "127.0.0.1:9464", upstream).unwrap_err();
        let again = at_upstream("requests would come back to the proxy for ever");
        assert!(message.contains(&again), "{listen} {message}");
        let message = places("127.0.0.1:80", listen, upstream).unwrap_err();
        let elsewhere = at_upstream("requests would go to metrics and probes");
        assert!(message.contains(&elsewhere), "{listen} {message}");
    }
}

#[test]
fn what_only_looks_like_the_listener_may_be_the_backend() {
    for (listen, upstream) in [
        ("0.0.0.0:8443", "127.0.0.1:8444"),
        ("0.0.0.0:8443", "10.0.0.7:8443"),
        ("0.0.0.0:8443", "[::1]:8443"),
        ("127.0.0.1:8443", "127.0.0.2:8443"),
        ("127.0.0.1:8443", "[::1]:8443"),
        ("[::1]:8443", "127.0.0.1:8443"),
    ] {
        places(listen, "127.0.0.1:9464", upstream).unwrap();
        places("127.0.0.1:80", listen, upstream).unwrap();
    }
}

#[test]
fn metrics_have_a_place_of_their_own_whatever_it_is_called() {
    for (listen, admin) in [
        ("127.0.0.1:8443", "127.0.0.1:8443"),
        ("0.0.0.0:8443", "127.0.0.1:8443"),
        ("127.0.0.1:8443", "[::]:8443"),
    ] {
        let message = places(listen, admin, "unix:/b").unwrap_err();
        assert!(message.contains("metrics would be served where clients connect"), "{message}");
    }
    places("127.0.0.1:0", "127.0.0.1:0", "unix:/b").unwrap();
}

#[test]
fn no_websockets_beside_rules_about_calls() {
    let with = |policy: &str| format!("[mcp:read]\n  websocket: true\n  policy: {policy}");
    for policy in ["{deny: [{tools: [a]}]}", "{scopes: [{methods: [ping], all: [b]}]}"] {
        refuses("[mcp:read]", &with(policy), 6, "resource.websocket");
    }
    refuses("[mcp:read]", &with("{allow: [{when: 'mcp.tool == \"a\"'}]}"), 6, "resource.websocket");
    let about_all = with("{deny: [{when: request.method == 'PUT'}]}");
    let config = Config::parse(&GOOD.replacen("[mcp:read]", &about_all, 1)).unwrap();
    assert!(config.rules.sites[0].websocket && !good().rules.sites[0].websocket);
}

/// A good file whose resource has this policy.
fn with_policy(policy: &str) -> Result<Config, Invalid> {
    Config::parse(&GOOD.replace("[mcp:read]", &format!("[mcp:read]\n  policy: {policy}")))
}

#[test]
fn the_rules_in_the_readme_are_good_ones() {
    let readme = include_str!("../../../../README.md");
    let mut examples = readme.split("```").filter_map(|block| block.strip_prefix("yaml\n"));
    let example = examples.find(|example| example.contains("  policy:")).unwrap();
    let rest =
        GOOD.replace("resource:\n  url: https://mcp.example/mcp\n  scopes: [mcp:read]\n", "");
    let policy = &Config::parse(&format!("{rest}{example}")).unwrap().rules.sites[0].policy;
    assert_eq!([policy.scopes.len(), policy.allow.len(), policy.deny.len()], [1, 3, 2]);
}

#[test]
fn a_mistake_in_a_rule_is_told_with_its_place() {
    for (policy, key, why) in [
        ("{alow: []}", "resource.policy.alow", "write allow"),
        ("{deny: [{tool: [a]}]}", "resource.policy.deny[0].tool", "write tools"),
        ("{allow: [{tools: []}]}", "resource.policy.allow[0].tools", "no call could match it"),
        ("{allow: [{tools: a}]}", "resource.policy.allow[0].tools", "a list is expected"),
        ("{allow: [{tools: ['']}]}", "resource.policy.allow[0].tools[0]", "it is empty"),
        (
            "{deny: [{methods: [tools/call], tools: [a]}]}",
            "resource.policy.deny[0].methods",
            "by which methods they are called",
        ),
        ("{scopes: [{tools: [a]}]}", "resource.policy.scopes[0].all", "no scope is named"),
        ("{scopes: [{all: ['a b']}]}", "resource.policy.scopes[0].all[0]", "not a scope"),
        ("{allow: [{name: 'a b'}]}", "resource.policy.allow[0].name", "not a name for logs"),
        (
            "{allow: [{name: a}], deny: [{name: a}]}",
            "resource.policy.deny[0].name",
            "another rule has the same name",
        ),
        ("{deny: [{shadow: maybe}]}", "resource.policy.deny[0].shadow", "neither true nor false"),
        ("{deny: [{when: 'claims.'}]}", "resource.policy.deny[0].when", "not an expression at 1:8"),
        ("{deny: [{when: ['true', 'x']}]}", "resource.policy.deny[0].when[1]", "no variable"),
        (
            "{allow: [{when: 'claims.email.endswith(\"x\")'}]}",
            "resource.policy.allow[0].when",
            "there is no function",
        ),
        (
            "{allow: [{when: 'mcp.arguments.a == 1'}]}",
            "resource.policy.allow[0].when",
            "are those of some tool",
        ),
        ("{lists: filtered}", "resource.policy.lists", "write usable, obtainable or all"),
        ("{implies: {a: ''}}", "resource.policy.implies.a", "no scope is named"),
        ("{implies: {a: a}}", "resource.policy.implies", "stand for itself"),
        (
            "{deny: [{resources: ['FILE:*']}]}",
            "resource.policy.deny[0].resources[0]",
            "in lower case",
        ),
    ] {
        let message = with_policy(policy).expect_err(policy).to_string();
        assert!(message.starts_with("1 problem "), "{message}");
        assert!(message.contains(&format!("\n  line 6: {key}")), "{message}");
        assert!(message.contains(why), "{message}");
    }
    let circle = with_policy("{implies: {a: b, b: c, c: a}}").unwrap_err().to_string();
    assert!(circle.starts_with("3 problems "), "{circle}");
    with_policy("{implies: {a: b c, b: d, c: d}}").unwrap();
}

#[test]
fn an_audit_needs_a_place_and_a_chain_a_file() {
    let with = |audit: &str| Config::parse(&format!("{GOOD}\naudit: {audit}"));
    assert_eq!(good().boot.audit, None);
    let file = with("{to: /var/log/a.jsonl, chain: true}").unwrap().boot.audit.unwrap();
    assert_eq!(file.to, AuditTo::File("/var/log/a.jsonl".into()));
    assert!(file.chain && !file.required);
    assert_eq!(file.arguments, None);
    let told = with("{to: /a, arguments: true, redact: [pin]}").unwrap().boot.audit.unwrap();
    assert_eq!(told.arguments, Some(vec!["pin".to_owned()]));
    let usual = with("{to: /a, arguments: true}").unwrap().boot.audit.unwrap().arguments.unwrap();
    assert!(usual.contains(&"password".to_owned()));
    assert!(with("{to: stderr, required: true}").unwrap().boot.audit.unwrap().required);
    for (audit, key) in [
        ("{}", "audit.to"),
        ("{to: a.jsonl}", "audit.to"),
        ("{to: syslog}", "audit.to"),
        ("{to: stdout, chain: true}", "audit.chain"),
        ("{to: /a, chain: maybe}", "audit.chain"),
        ("{to: /a, redact: [pin]}", "audit.redact"),
    ] {
        let told = with(audit).unwrap_err().to_string();
        assert!(told.contains(&format!(": {key}")), "{audit}: {told}");
    }
}

#[test]
fn plain_http_is_led_to_https_from_an_address_of_its_own() {
    let with = |listen: &str| format!("tls: off\nredirect: {{listen: '{listen}'}}");
    let good = Config::parse(&GOOD.replace("tls: off", &with("127.0.0.1:8080"))).unwrap();
    assert_eq!(good.boot.redirect, Some("127.0.0.1:8080".parse().unwrap()));
    for taken in ["127.0.0.1:8443", "0.0.0.0:9464", "here"] {
        refuses("tls: off", &with(taken), 3, "redirect.listen");
    }
    refuses("tls: off", "tls: off\nredirect: {}", 3, "redirect.listen");
    let plain = GOOD.replace("https://mcp.example/mcp", "http://localhost:8443/mcp");
    let plain = plain.replace("tls: off", &with("127.0.0.1:8080"));
    let message = Config::parse(&plain).unwrap_err().to_string();
    assert!(message.contains("nowhere to lead clients"), "{message}");
}

#[test]
fn a_backend_over_tls_has_a_name_and_an_authority() {
    let with =
        |address: &str, tls: &str| format!("upstream:\n  address: {address}\n  tls: {{{tls}}}");
    let from = "upstream:\n  address: unix:/run/backend.sock";
    let tls = |address: &str, tls: &str| {
        let config = Config::parse(&GOOD.replace(from, &with(address, tls))).unwrap();
        config.rules.sites[0].upstream.tls.clone().unwrap()
    };
    let named = tls("unix:/b", "ca_file: c, server_name: backend.example");
    assert_eq!(named.server_name.as_deref(), Some("backend.example"));
    assert_eq!(tls("127.0.0.1:1", "ca_file: c").shown, None);
    // It takes nobody else's word, and nobody reads what it is told.
    assert!(tls("192.0.2.1:1", "ca_file: c, certificate: a, key: b").shown.is_some());
    let refused =
        |address: &str, more: &str, line, key| refuses(from, &with(address, more), line, key);
    refused("unix:/b", "ca_file: c", 10, "upstream.tls");
    refused("192.0.2.1:1", "ca_file: c", 9, "upstream.address");
    refused("127.0.0.1:1", "server_name: a.example", 10, "upstream.tls.ca_file");
    refused("127.0.0.1:1", "ca_file: c, certificate: a", 10, "upstream.tls.key");
    for odd in ["a_b.example", "'*.example'", "'a.example:1'", "''"] {
        refused(
            "127.0.0.1:1",
            &format!("ca_file: c, server_name: {odd}"),
            10,
            "upstream.tls.server_name",
        );
    }
}
