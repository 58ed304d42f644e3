//! What pingora says where there is no request yet: of a head that it cannot read, and of `CONNECT`.
//! It is said in our words, and does not name what serves here.

/// The status of an answer of pingora's, and that answer as we say it. `name` is what the request is called.
pub(super) fn in_our_words(theirs: &[u8], name: &str) -> (u16, String) {
    let text = String::from_utf8_lossy(theirs);
    let (line, fields) = text.split_once("\r\n").unwrap_or((&text, ""));
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(400);
    let said = match status {
        405 => "this method is not served",
        _ => "the request's head cannot be read",
    };
    let body = format!("{{\"error\":\"invalid_request\",\"error_description\":\"{said}\"}}");
    let date = fields.lines().find(|field| field.to_ascii_lowercase().starts_with("date:"));
    let allow = (status == 405).then_some("Allow: GET, POST, DELETE");
    let mut answer = format!(
        "{line}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\
         X-Request-Id: {name}\r\nX-Correlation-ID: {name}\r\n",
        body.len()
    );
    for field in date.into_iter().chain(allow) {
        answer.extend([field, "\r\n"]);
    }
    (status, format!("{answer}\r\n{body}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_keeps_its_status_and_date_and_nothing_else() {
        let theirs =
            b"HTTP/1.1 400 Bad Request\r\nServer: x\r\ndate: now\r\nContent-Length: 0\r\n\r\n";
        let (status, ours) = in_our_words(theirs, "1a");
        assert_eq!(status, 400);
        assert!(ours.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{ours}");
        assert!(ours.contains("\r\nX-Request-Id: 1a\r\nX-Correlation-ID: 1a\r\n"), "{ours}");
        assert!(ours.contains("\r\ndate: now\r\n") && !ours.contains("Server"), "{ours}");
        let (head, body) = ours.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{ours}");
        serde_json::from_str::<serde_json::Value>(body).unwrap();
    }

    #[test]
    fn what_is_no_answer_at_all_is_a_bad_request() {
        assert_eq!(in_our_words(b"", "").0, 400);
        assert_eq!(in_our_words(b"HTTP/1.1 x", "").0, 400);
    }
}
