//! Any configuration: it is refused with something to read, or a pipeline can be built from it.

use std::sync::Arc;

use http::HeaderValue;
use proxy::config::Config;
use proxy::pipeline::channel::Channel;

use super::desk;

pub fn holds(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    // Files are the operator's choice; some of them never end.
    if text.contains("${file:") {
        return;
    }
    match Config::parse(text) {
        Err(invalid) => assert!(!invalid.to_string().trim().is_empty(), "refused without a word"),
        Ok(config) => {
            assert!(!config.rules.issuers.is_empty(), "nobody is trusted");
            let pipeline = desk::pipeline(&config, Arc::default());
            let request = desk::request(HeaderValue::from_static("Bearer a.b.c"));
            let decision = pipeline.decide(&request, &Channel::default(), desk::now());
            assert!(!matches!(decision, proxy::pipeline::Decision::Forward(_)), "no keys, no pass");
        }
    }
}
