//! Where the gateway and the library differ, and why that is right.

use Strict::{They, We};

/// Who refuses what the other accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strict {
    We,
    They,
}

/// What was done to the token, who refuses it, and the reason.
pub(super) const LISTED: &[(&str, Strict, &str)] = &[
    // what an access token is, which a library for all JWTs cannot know
    ("typ is JWT", We, "RFC 9068 section 4: it may be an ID token"),
    ("typ is a number", We, "RFC 9068 section 4"),
    ("typ is missing", We, "RFC 9068 section 4"),
    ("sub is missing", We, "RFC 9068 section 2.2: somebody must be meant"),
    ("sub is empty", We, "an identity header must have a value"),
    ("cnf", We, "RFC 9449 section 7.2: no good without a proof"),
    ("client_id is a number", We, "RFC 8693 section 4.3: it is a text, and the backend hears it"),
    ("scope is a number", We, "RFC 8693 section 4.2: it is a text, and decides who may pass"),
    // numbers
    ("exp is a text", We, "RFC 7519 section 2: a NumericDate is a number"),
    ("nbf is a text", We, "RFC 7519 section 2"),
    ("iat is a text", We, "RFC 7519 section 2"),
    ("exp is enormous", We, "no clock holds it: the library's numbers have no end"),
    ("exp has forty digits", We, "no clock holds it"),
    // JSON that readers take for different things
    ("sub occurs twice", We, "RFC 7519 section 4: or be read as the last one, as the library does"),
    ("a name occurs twice below", We, "RFC 8259 section 4: readers disagree"),
    ("a name of the header occurs twice", We, "RFC 7515 section 4: or be read as the last one"),
    ("a claim is not a number", We, "RFC 8259 section 6: NaN is not JSON"),
    ("a claim is infinite", We, "RFC 8259 section 6: readers disagree about numbers out of range"),
    ("half a character", We, "RFC 8259 section 8.2: readers disagree"),
    ("a mark before the claims", We, "RFC 8259 section 8.1: it may be refused"),
    ("claims in UTF-16", We, "RFC 7519 section 7.1: claims are UTF-8"),
    ("two hundred levels", We, "no claims are so deep, and every reader has its own limit"),
    // spellings
    ("header is padded", We, "RFC 7515 section 2: base64url without padding"),
    ("claims are padded", We, "RFC 7515 section 2"),
    ("signature is padded", We, "RFC 7515 section 2"),
    ("b64 is true", We, "RFC 7797 section 3: the default, which nobody needs to say"),
    ("claims of 17 KiB", We, "no honest token is so long"),
    // a name that the library does not know
    ("alg by its newer name", They, "RFC 9864 calls EdDSA with this curve Ed25519"),
];
