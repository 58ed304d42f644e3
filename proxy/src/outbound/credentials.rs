//! How we show others who we are (RFC 6749 section 2.3.1).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use url::form_urlencoded::{Serializer, byte_serialize};

use crate::config::{ClientAuthentication, OwnClient};

/// The same for a client that may have no secret, and then says its name alone.
pub(crate) fn identify(
    form: &mut Serializer<'_, String>,
    client: &OwnClient,
) -> Option<HeaderValue> {
    if let Some((secret, how)) = &client.secret {
        return show(form, &client.id, secret.expose(), *how);
    }
    form.append_pair("client_id", &client.id);
    None
}

/// Puts the client's secret into the form, or returns the header that has it.
pub(crate) fn show(
    form: &mut Serializer<'_, String>,
    id: &str,
    secret: &str,
    how: ClientAuthentication,
) -> Option<HeaderValue> {
    match how {
        ClientAuthentication::Post => {
            form.append_pair("client_id", id).append_pair("client_secret", secret);
            None
        }
        ClientAuthentication::Basic => {
            // Each is encoded by itself first, so that a colon in one of them divides nothing.
            let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
            let pair = STANDARD.encode(format!("{}:{}", encoded(id), encoded(secret)));
            let mut header = HeaderValue::from_str(&format!("Basic {pair}")).ok()?;
            header.set_sensitive(true);
            Some(header)
        }
    }
}
