//! Tokens that only their issuer can read: it is asked, seldom, and nobody else's are shown to it.

mod answers;
mod outages;
mod tokens;

use crate::harness::{Response, World};

const CLIENT: &str = "client_id: gateway, client_secret: s3cret";

/// One issuer that is asked about its tokens.
fn world(more: &str) -> World {
    World::trusting(&format!("introspection: {{{CLIENT}{more}}}"))
}

#[track_caller]
fn is_refused(world: &World, response: &Response, description: &str) {
    assert_eq!(response.status, 401, "{response:?}");
    let challenge = World::challenge("invalid_token", description);
    assert_eq!(response.header("www-authenticate"), challenge);
    world.upstream.saw_nothing();
}
