//! What people see at the end of a login, and programs read.

use http::header::ACCEPT;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::refused::Refused;
use super::tokens::Tokens;
use crate::front::page::{Page, escaped};
use crate::pipeline::front::Reply;
use crate::reason::Reason;

/// What is told beside the tokens.
pub(super) struct Ending<'e> {
    pub(super) tokens: &'e Tokens,
    /// What they are for.
    pub(super) resource: &'e str,
    /// Where to go on.
    pub(super) return_to: Option<&'e str>,
    /// Where another login begins.
    pub(super) again: &'e str,
}

impl Ending<'_> {
    /// For a program: what the issuer said, and where to go on.
    pub(super) fn json(&self) -> Reply {
        let mut told = self.tokens.told();
        let return_to = self.return_to.map(|target| ("return_to".to_owned(), target.into()));
        told.extend(return_to);
        Reply::json(Reason::LoginDone, StatusCode::OK, &Value::Object(told))
    }

    /// For a person. The tokens are in the page and nowhere else.
    pub(super) fn page(&self) -> Reply {
        let body = self.body();
        let page = Page { title: "You are signed in", body: &body, script: Some(SCRIPT) };
        page.reply(Reason::LoginDone, StatusCode::OK)
    }

    fn body(&self) -> String {
        let resource = escaped(self.resource);
        let lasts = self.tokens.expires_in.map(lasting).unwrap_or_default();
        let access =
            secret("access", "access token", &self.tokens.access, "class=\"first\" autofocus");
        let refresh = self.tokens.refresh.as_deref().map(refresh).unwrap_or_default();
        let on = self.return_to.map(on).unwrap_or_default();
        let again = escaped(self.again);
        format!(
            "<div data-while>\n\
             <p>With this token a program may use <code>{resource}</code> as you{lasts}.</p>\n\
             <label for=\"access\">Access token</label>\n{access}{refresh}\
             <p class=\"quiet\">Whoever has it can do there what you can. Paste it into the program \
             that asked for it, and nowhere else.</p>\n\
             <p class=\"quiet\" id=\"left\"></p>\n</div>\n\
             <p data-after hidden>This page has forgotten the token. What you copied is good until it \
             expires.</p>\n<p role=\"status\" id=\"said\"></p>\n{on}\
             <p><a href=\"{again}\">Get another token</a></p>\n"
        )
    }
}

/// Said to whoever asked, in a way that they can read.
pub(super) fn refusal(refused: Refused, for_people: bool, again: &str) -> Reply {
    let (reason, (status, code)) = (refused.reason(), refused.told());
    let words = refused.to_string();
    let reply = if for_people {
        let (words, again, advice) = (escaped(&words), escaped(again), refused.advice());
        let body = format!(
            "<p role=\"alert\">{}.</p>\n<p>{advice}</p>\n\
             <p><a href=\"{again}\">Begin again</a></p>\n\
             <p class=\"quiet\"><small>Code: <code>{}</code></small></p>\n",
            capital(&words),
            reason.code(),
        );
        Page { title: "This did not work", body: &body, script: None }.reply(reason, status)
    } else {
        Reply::error(reason, status, code, &words)
    };
    match status {
        StatusCode::SERVICE_UNAVAILABLE => reply.retry_after("5"),
        _ => reply,
    }
}

/// Whether HTML is wanted rather than JSON: browsers say so, programs mostly say nothing.
pub(super) fn for_people(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(ACCEPT).iter().filter_map(|line| line.to_str().ok());
    let (mut html, mut json) = (0.0, 0.0);
    for entry in lines.flat_map(|line| line.split(',')) {
        let mut parts = entry.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
        let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(Ok(1.0), str::parse);
        let weight: f32 = weight.unwrap_or(0.0);
        match kind.as_str() {
            "text/html" => html = weight.max(html),
            "application/json" => json = weight.max(json),
            _ => (),
        }
    }
    html > json
}

/// A field that is read by eye and copied by button. Without the script it can be selected.
fn secret(id: &str, name: &str, value: &str, first: &str) -> String {
    let value = escaped(value);
    format!(
        "<div class=\"row\"><input id=\"{id}\" aria-label=\"{name}\" type=\"text\" readonly data-secret \
         autocomplete=\"off\" spellcheck=\"false\" value=\"{value}\">\n\
         <button type=\"button\" {first} data-copies=\"{id}\" aria-label=\"Copy {name}\" hidden>Copy</button>\n\
         <button type=\"button\" data-shows=\"{id}\" aria-controls=\"{id}\" hidden>Show</button></div>\n"
    )
}

fn refresh(token: &str) -> String {
    let field = secret("refresh", "refresh token", token, "");
    format!(
        "<details><summary>Refresh token</summary>\n\
         <p>It gets new access tokens: <code>POST /auth/refresh</code> with \
         <code>{{\"refresh_token\": \"…\"}}</code>.</p>\n{field}</details>\n"
    )
}

fn on(target: &str) -> String {
    let target = escaped(target);
    format!("<p><a href=\"{target}\" rel=\"noreferrer\">Go on to <code>{target}</code></a></p>\n")
}

fn lasting(seconds: u64) -> String {
    match seconds {
        0..120 => format!(", for {seconds} seconds"),
        120..7200 => format!(", for {} minutes", seconds / 60),
        _ => format!(", for {} hours", seconds / 3600),
    }
}

fn capital(words: &str) -> String {
    let mut letters = words.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

const SCRIPT: &str = include_str!("token.js");

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::front::login::tokens::Kind;

    #[test]
    fn browsers_get_pages_and_programs_do_not() {
        let wants = |accept: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_str(accept).unwrap());
            for_people(&headers)
        };
        assert!(wants("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"));
        assert!(wants("application/json;q=0.5, TEXT/HTML"));
        for program in ["*/*", "application/json", "application/json, text/html", "text/html;q=0"] {
            assert!(!wants(program), "{program}");
        }
        assert!(!for_people(&HeaderMap::new()));
    }

    #[test]
    fn what_came_from_outside_stays_text() {
        let answer = br#"{"access_token":"'><script>alert(1)</script>","token_type":"Bearer"}"#;
        let tokens = Tokens::read(answer, Kind::Said).unwrap();
        let ending = Ending {
            tokens: &tokens,
            resource: "https://mcp.example/<mcp>",
            return_to: Some("https://app.example/?a=\"&b=<i>"),
            again: "https://mcp.example/login",
        };
        let body = ending.body();
        assert!(!body.contains("<script") && !body.contains("<mcp>") && !body.contains("<i>"));
        assert!(body.contains("href=\"https://app.example/?a=&#34;&#38;b=&#60;i&#62;\""), "{body}");
    }

    /// A `<` in it would have to be read by the rules of HTML.
    #[test]
    fn the_script_cannot_end_its_element_and_reaches_nobody() {
        for forbidden in ["</", "<!", "fetch", "XMLHttpRequest", "sendBeacon", "http"] {
            assert!(!SCRIPT.contains(forbidden), "{forbidden}");
        }
    }
}
