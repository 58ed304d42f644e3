//! Pages for people: plain, readable, light or dark as their browser is, and with nothing from elsewhere.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, StatusCode};

use crate::pipeline::front::Reply;
use crate::reason::Reason;

/// One page. Whatever is put into its body must be [`escaped`].
pub(super) struct Page<'a> {
    pub(super) title: &'a str,
    pub(super) body: &'a str,
    /// A script of ours, and never of anybody else's.
    pub(super) script: Option<&'static str>,
}

impl Page<'_> {
    pub(super) fn reply(&self, reason: Reason, status: StatusCode) -> Reply {
        let Self { title, body, script } = *self;
        let title = escaped(title);
        let script_tag = script.map(|script| format!("<script>{script}</script>"));
        let html = format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <meta name=\"color-scheme\" content=\"light dark\"><title>{title}</title>\
             <style>{STYLE}</style></head><body><main><h1>{title}</h1>{body}</main>{}</body></html>",
            script_tag.unwrap_or_default()
        );
        Reply::page(reason, status, html, policy(script))
    }
}

/// What the page may do: show itself, run this one script, and send its forms. Where forms may lead is not
/// listed, because browsers hold that against every further redirect as well, up to the client's own.
fn policy(script: Option<&str>) -> HeaderValue {
    let scripts = script.map(|script| format!("; script-src '{}'", digest_of(script)));
    let text = format!(
        "default-src 'none'; style-src '{}'{}; base-uri 'none'; frame-ancestors 'none'",
        digest_of(STYLE),
        scripts.unwrap_or_default()
    );
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

fn digest_of(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(digest(&SHA256, text.as_bytes())))
}

/// Text that stands for itself in HTML, in attributes too.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '<' | '>' | '&' | '"' | '\'' => {
                // A string takes whatever is written.
                write!(escaped, "&#{};", u32::from(letter)).unwrap_or_default();
            }
            // Nor may anything run backwards, or hide.
            letter if letter.is_control() || is_invisible(letter) => escaped.push('\u{fffd}'),
            letter => escaped.push(letter),
        }
    }
    escaped
}

/// What makes text look like another (Unicode TR 36).
fn is_invisible(letter: char) -> bool {
    matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

const STYLE: &str = include_str!("page/style.css");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_others_say_is_markup() {
        assert_eq!(escaped("<b onclick='x'>&\""), "&#60;b onclick=&#39;x&#39;&#62;&#38;&#34;");
        assert_eq!(escaped("a\u{202e}b\u{0}c\u{200b}"), "a\u{fffd}b\u{fffd}c\u{fffd}");
        assert_eq!(escaped("Zoë 🦀"), "Zoë 🦀");
    }

    #[test]
    fn a_page_runs_nothing_but_its_own_script() {
        let plain = policy(None);
        let plain = plain.to_str().unwrap();
        assert!(plain.starts_with("default-src 'none'; style-src 'sha256-"), "{plain}");
        assert!(!plain.contains("script-src") && !plain.contains("unsafe"), "{plain}");
        let scripted = policy(Some("1"));
        assert!(
            scripted
                .to_str()
                .unwrap()
                .contains("script-src 'sha256-a4ayc/80/OGda4BO/1o/V0etpOqiLx1JwB5S3beHW0s='")
        );
    }

    /// A `<` in it would have to be read by the rules of HTML.
    #[test]
    fn the_style_cannot_end_its_element() {
        assert!(!STYLE.contains('<'));
    }
}
