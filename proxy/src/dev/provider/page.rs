//! The sign-in page. Plain HTML: no script, nothing loaded, readable by night and by keyboard.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use axum::response::{Html, IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use http::header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};

use super::authorize::{Question, REFUSE, SECRET, USER, Untrusted};
use super::people::{PASSWORD, PEOPLE, Scopes};
use super::redirect;

pub(super) fn sign_in(question: &Question<'_>, wrong: Option<&str>) -> Response {
    let client = escape(&question.asker.client.name);
    let resource = escape(question.resource);
    let asked = question.scope.map_or_else(|| Scopes::ALL.to_string(), escape);
    let back = escape(question.asker.redirect_uri);
    let alert = wrong.map(|wrong| format!("<p role=\"alert\">{wrong}</p>")).unwrap_or_default();
    let (fields, people) = (fields(question), people());
    let body = format!(
        "<h1>Sign in</h1>\
         <p><strong>{client}</strong> wants to use <code>{resource}</code> \
         and asks for <code>{asked}</code>.</p>{alert}\
         <form method=\"post\" action=\"/authorize\">{fields}\
         <fieldset><legend>As whom?</legend>{people}</fieldset>\
         <label>Password <input type=\"password\" name=\"{SECRET}\" value=\"{PASSWORD}\" \
         autocomplete=\"off\"></label>\
         <p>It is <code>{PASSWORD}</code> for everybody, and filled in: \
         this provider knows only this laptop.</p>\
         <button autofocus>Allow</button> <button name=\"{REFUSE}\" value=\"yes\">Refuse</button>\
         </form><p>Either way you go back to <code>{back}</code>.</p>"
    );
    let actions = format!("'self' {}", redirect::form_action(question.asker.redirect_uri));
    document("Sign in", &body, &actions)
}

pub(super) fn refusal(untrusted: &Untrusted) -> Response {
    tracing::info!(reason = %untrusted, "the identity provider shows a refusal");
    let reason = escape(untrusted.to_string());
    let body = format!("<h1>This does not work</h1><p role=\"alert\">{reason}</p>");
    let status = match untrusted {
        Untrusted::Repeated(_) | Untrusted::Client | Untrusted::RedirectUri | Untrusted::Origin => {
            StatusCode::BAD_REQUEST
        }
        Untrusted::Unavailable(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    (status, document("This does not work", &body, "'none'")).into_response()
}

fn document(title: &str, body: &str, actions: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{title} · Postern on a laptop</title><style>{STYLE}</style></head>\
         <body><main>{body}</main></body></html>"
    );
    let style = STANDARD.encode(digest(&SHA256, STYLE.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; form-action {actions}; \
         base-uri 'none'; frame-ancestors 'none'"
    );
    let headers = [
        (CONTENT_SECURITY_POLICY, policy.as_str()),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // `no-referrer` would make the form's own Origin `null`.
        (REFERRER_POLICY, "same-origin"),
    ];
    (headers, Html(html)).into_response()
}

/// The request itself, to come back with the answer.
fn fields(question: &Question<'_>) -> String {
    let mut fields = String::new();
    for (name, value) in question.parameters.iter() {
        if ![USER, SECRET, REFUSE].contains(&name) {
            let (name, value) = (escape(name), escape(value));
            push(
                &mut fields,
                format_args!("<input type=\"hidden\" name=\"{name}\" value=\"{value}\">"),
            );
        }
    }
    fields
}

fn people() -> String {
    let mut choices = String::new();
    for (index, person) in PEOPLE.iter().enumerate() {
        let checked = if index == 0 { " checked" } else { "" };
        let (name, scopes) = (person.name, person.scopes);
        push(
            &mut choices,
            format_args!(
                "<label><input type=\"radio\" name=\"{USER}\" value=\"{name}\"{checked}> {name} \
                 <small>can give {scopes}</small></label>"
            ),
        );
    }
    choices
}

fn push(text: &mut String, more: std::fmt::Arguments<'_>) {
    #[expect(clippy::let_underscore_must_use, reason = "writing to a String cannot fail")]
    let _ = text.write_fmt(more);
}

fn escape(text: impl AsRef<str>) -> String {
    let mut escaped = String::with_capacity(text.as_ref().len());
    for letter in text.as_ref().chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// System colours follow the reader's light or dark.
const STYLE: &str = ":root{color-scheme:light dark;font:1rem/1.5 system-ui,sans-serif}\
    main{max-width:34rem;margin:10vh auto;padding:0 1rem}\
    fieldset,input[type=password]{border:1px solid GrayText;border-radius:.4rem}\
    fieldset{margin:1rem 0}fieldset label{display:block;padding:.3rem 0}\
    input,button{font:inherit;padding:.3rem .8rem}code{overflow-wrap:anywhere}\
    :focus-visible{outline:3px solid CanvasText;outline-offset:2px}\
    [role=alert]{border-inline-start:4px solid #d33;padding-inline-start:.8rem}";

#[cfg(test)]
mod tests {
    use super::super::rig::{Rig, valid};

    #[tokio::test]
    async fn shows_who_asks_for_what_and_where_it_leads() {
        let rig = Rig::new();
        let page = rig.ask(&valid(&rig.register().await)).await;
        assert_eq!(page.status, 200);
        for part in ["a client", "mcp:read mcp:write", "ada", "grace", Rig::RESOURCE, "laptop"] {
            assert!(page.body.contains(part), "{part}");
        }
    }

    #[tokio::test]
    async fn runs_and_loads_nothing() {
        let rig = Rig::new();
        let page = rig.ask(&valid(&rig.register().await)).await;
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
        assert!(policy.contains("form-action 'self' http://127.0.0.1;"), "{policy}");
        assert!(policy.ends_with("frame-ancestors 'none'"), "{policy}");
        assert!(!page.body.contains("<script"));
    }

    #[tokio::test]
    async fn escapes_what_it_was_given() {
        let rig = Rig::new();
        let asked = valid(&rig.register().await).with("state", "\"><script>alert(1)</script>");
        let page = rig.ask(&asked).await;
        assert!(page.body.contains("&quot;&gt;&lt;script&gt;"));
        assert!(!page.body.contains("<script"));
    }
}
