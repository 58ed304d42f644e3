//! What can be wrong with a token: one entry is one thing.

use serde_json::{Value, json};

use super::draft::Spoil::{
    self, Claims, ClaimsText, Encoded, Header, HeaderText, Letters, OtherKey, Parts, Signature,
};
use super::draft::is_edwards;
use super::random::Random;

/// By the names under which differences are listed.
pub(super) const SPOILS: &[(&str, Spoil)] = &[
    // who and for whom
    ("iss is another", Claims(|claims, _| claims["iss"] = json!("https://evil.example"))),
    (
        "iss has a slash more",
        Claims(|claims, _| claims["iss"] = json!(format!("{}/", text(claims, "iss")))),
    ),
    (
        "iss in capitals",
        Claims(|claims, _| claims["iss"] = json!(text(claims, "iss").to_uppercase())),
    ),
    ("iss is a list", Claims(|claims, _| claims["iss"] = json!([claims["iss"]]))),
    ("iss is missing", Claims(|claims, _| without(claims, "iss"))),
    ("iss is null", Claims(|claims, _| claims["iss"] = Value::Null)),
    ("aud is another", Claims(|claims, _| claims["aud"] = json!("https://other.example"))),
    ("aud begins alike", Claims(|claims, _| claims["aud"] = json!("https://mcp.example/mcp/more"))),
    ("aud is the beginning", Claims(|claims, _| claims["aud"] = json!("https://mcp.example"))),
    ("aud in capitals", Claims(|claims, _| claims["aud"] = json!("HTTPS://MCP.EXAMPLE/MCP"))),
    ("aud is missing", Claims(|claims, _| without(claims, "aud"))),
    ("aud is null", Claims(|claims, _| claims["aud"] = Value::Null)),
    ("aud is an empty list", Claims(|claims, _| claims["aud"] = json!([]))),
    ("aud is a list of others", Claims(|claims, _| claims["aud"] = json!(["a", "b"]))),
    ("aud is a number", Claims(|claims, _| claims["aud"] = json!(7))),
    (
        "aud is an object",
        Claims(|claims, _| claims["aud"] = json!({ "https://mcp.example/mcp": 1 })),
    ),
    (
        "aud has a number in it",
        Claims(|claims, _| claims["aud"] = json!(["https://mcp.example/mcp", 7])),
    ),
    ("aud is nested", Claims(|claims, _| claims["aud"] = json!([["https://mcp.example/mcp"]]))),
    ("sub is missing", Claims(|claims, _| without(claims, "sub"))),
    ("sub is empty", Claims(|claims, _| claims["sub"] = json!(""))),
    ("sub is a number", Claims(|claims, _| claims["sub"] = json!(7))),
    ("sub is null", Claims(|claims, _| claims["sub"] = Value::Null)),
    ("sub is a list", Claims(|claims, _| claims["sub"] = json!(["ada"]))),
    ("cnf", Claims(|claims, _| claims["cnf"] = json!({ "jkt": "x" }))),
    ("client_id is a number", Claims(|claims, _| claims["client_id"] = json!(7))),
    ("scope is a number", Claims(|claims, _| claims["scope"] = json!(7))),
    ("jti is a number", Claims(|claims, _| claims["jti"] = json!(7))),
    // when
    ("exp is past", Claims(|claims, now| claims["exp"] = json!(now - 3_600))),
    ("exp is just past the leeway", Claims(|claims, now| claims["exp"] = json!(now - 31))),
    ("exp is zero", Claims(|claims, _| claims["exp"] = json!(0))),
    ("exp is negative", Claims(|claims, _| claims["exp"] = json!(-1))),
    ("exp is missing", Claims(|claims, _| without(claims, "exp"))),
    ("exp is null", Claims(|claims, _| claims["exp"] = Value::Null)),
    ("exp is a text", Claims(|claims, now| claims["exp"] = json!((now + 3_600).to_string()))),
    ("exp is no number's text", Claims(|claims, _| claims["exp"] = json!("tomorrow"))),
    ("exp is true", Claims(|claims, _| claims["exp"] = json!(true))),
    ("exp is a list", Claims(|claims, now| claims["exp"] = json!([now + 3_600]))),
    ("exp is enormous", Claims(|claims, _| claims["exp"] = json!(1e300))),
    ("exp is infinite", ClaimsText(|claims| replace_exp(claims, "1e309"))),
    ("exp has forty digits", ClaimsText(|claims| replace_exp(claims, &"9".repeat(40)))),
    ("nbf is to come", Claims(|claims, now| claims["nbf"] = json!(now + 3_600))),
    ("nbf is a text", Claims(|claims, _| claims["nbf"] = json!("7"))),
    ("nbf is null", Claims(|claims, _| claims["nbf"] = Value::Null)),
    ("nbf is a list", Claims(|claims, _| claims["nbf"] = json!([0]))),
    ("nbf is long ago", Claims(|claims, _| claims["nbf"] = json!(-1e15))),
    ("iat is to come", Claims(|claims, now| claims["iat"] = json!(now + 3_600))),
    ("iat is a text", Claims(|claims, _| claims["iat"] = json!("7"))),
    ("iat is null", Claims(|claims, _| claims["iat"] = Value::Null)),
    // the header
    (
        "alg in small letters",
        Header(|header| header["alg"] = json!(text(header, "alg").to_lowercase())),
    ),
    ("alg is none", Header(|header| header["alg"] = json!("none"))),
    ("alg is HS256", Header(|header| header["alg"] = json!("HS256"))),
    ("alg is another", Header(|header| header["alg"] = json!(another(&text(header, "alg"))))),
    ("alg is a number", Header(|header| header["alg"] = json!(256))),
    ("alg is a list", Header(|header| header["alg"] = json!([header["alg"]]))),
    ("alg is missing", Header(|header| without(header, "alg"))),
    (
        "alg by its newer name",
        Header(|header| {
            if is_edwards(header) {
                header["alg"] = json!("Ed25519");
            }
        }),
    ),
    ("typ is JWT", Header(|header| header["typ"] = json!("JWT"))),
    ("typ is missing", Header(|header| without(header, "typ"))),
    ("typ is a number", Header(|header| header["typ"] = json!(7))),
    ("kid is unknown", Header(|header| header["kid"] = json!("nobody"))),
    ("kid is a path", Header(|header| header["kid"] = json!("../../dev/null"))),
    ("kid is a number", Header(|header| header["kid"] = json!(7))),
    ("kid is null", Header(|header| header["kid"] = Value::Null)),
    ("kid is empty", Header(|header| header["kid"] = json!(""))),
    ("crit names the unknown", Header(|header| header["crit"] = json!(["urn:x"]))),
    ("crit is empty", Header(|header| header["crit"] = json!([]))),
    ("crit is null", Header(|header| header["crit"] = Value::Null)),
    ("b64 is false", Header(|header| header["b64"] = json!(false))),
    ("b64 is true", Header(|header| header["b64"] = json!(true))),
    // the text
    ("sub occurs twice", ClaimsText(|claims| append(claims, r#""sub":"root""#))),
    ("a name occurs twice below", ClaimsText(|claims| append(claims, r#""x":{"y":1,"y":2}"#))),
    ("a name of the header occurs twice", HeaderText(|header| append(header, r#""x":1,"x":2"#))),
    ("a mark before the claims", ClaimsText(|claims| format!("\u{feff}{claims}").into_bytes())),
    (
        "claims in UTF-16",
        ClaimsText(|claims| claims.encode_utf16().flat_map(u16::to_le_bytes).collect()),
    ),
    ("claims not in UTF-8", ClaimsText(broken)),
    ("header not in UTF-8", HeaderText(broken)),
    ("something after the claims", ClaimsText(|claims| format!("{claims}x").into_bytes())),
    ("something after the header", HeaderText(|header| format!("{header}{{}}").into_bytes())),
    ("a comma too many", ClaimsText(|claims| append(claims, ""))),
    ("a claim is not a number", ClaimsText(|claims| append(claims, r#""x":NaN"#))),
    ("a claim is infinite", ClaimsText(|claims| append(claims, r#""x":1e400"#))),
    ("half a character", ClaimsText(|claims| append(claims, r#""x":"\ud800""#))),
    ("a line break in a text", ClaimsText(|claims| append(claims, "\"x\":\"\n\""))),
    ("a comment", ClaimsText(|claims| append(claims, r#"/**/"x":1"#))),
    ("a number with a zero before", ClaimsText(|claims| append(claims, r#""x":01"#))),
    ("two hundred levels", ClaimsText(|claims| nested(claims, 200))),
    ("two thousand levels", ClaimsText(|claims| nested(claims, 2_000))),
    ("claims are a list", ClaimsText(|claims| format!("[{claims}]").into_bytes())),
    ("claims are a text", ClaimsText(|claims| serde_json::to_vec(claims).unwrap())),
    ("claims are nothing", ClaimsText(|_| Vec::new())),
    (
        "claims of 17 KiB",
        ClaimsText(|claims| append(claims, &format!(r#""x":"{}""#, "x".repeat(17 << 10)))),
    ),
    // the encoding
    ("header is padded", Encoded(|parts| parts[0] = padded(&parts[0]))),
    ("claims are padded", Encoded(|parts| parts[1] = padded(&parts[1]))),
    ("claims end in other bits", Encoded(|parts| parts[1] = other_bits(&parts[1]))),
    ("claims hold another letter", Encoded(|parts| parts[1].insert(0, '~'))),
    (
        "claims in the older alphabet",
        Encoded(|parts| parts[1] = parts[1].replace('-', "+").replace('_', "/")),
    ),
    ("claims are encoded twice", Encoded(|parts| parts[1] = twice(&parts[1]))),
    // the signature
    ("signed by another key", OtherKey),
    (
        "signature has a bit flipped",
        Signature(|signature| signature.iter_mut().skip(9).take(1).for_each(|byte| *byte ^= 4)),
    ),
    (
        "signature is cut",
        Signature(|signature| signature.truncate(signature.len().saturating_sub(1))),
    ),
    ("signature has a zero after it", Signature(|signature| signature.push(0))),
    ("signature has a zero before it", Signature(|signature| signature.insert(0, 0))),
    ("signature is zeros", Signature(|signature| signature.fill(0))),
    (
        "signature has its halves swapped",
        Signature(|signature| {
            let half = signature.len() / 2;
            signature.rotate_left(half);
        }),
    ),
    ("signature is missing", Signature(Vec::clear)),
    ("signature is padded", Letters(|parts, _| parts[2] = padded(&parts[2]))),
    ("signature ends in other bits", Letters(|parts, _| parts[2] = other_bits(&parts[2]))),
    ("signature holds another letter", Letters(|parts, _| parts[2].insert(0, '~'))),
    ("claims are swapped afterwards", Letters(|parts, _| parts[1] = twice(&parts[1]))),
    (
        "one letter is another",
        Letters(|parts, random| {
            let (part, at) = place(parts, random);
            let other = if parts[part].as_bytes()[at] == b'A' { "B" } else { "A" };
            parts[part].replace_range(at..=at, other);
        }),
    ),
    (
        "one letter is missing",
        Letters(|parts, random| {
            let (part, at) = place(parts, random);
            parts[part].remove(at);
        }),
    ),
    (
        "one letter too many",
        Letters(|parts, random| {
            let (part, at) = place(parts, random);
            parts[part].insert(at, 'A');
        }),
    ),
    ("four parts", Parts(|parts| parts.push(String::from("AAAA")))),
    ("five parts", Parts(|parts| parts.extend(["AAAA".to_owned(), "AAAA".to_owned()]))),
    ("two parts", Parts(|parts| drop(parts.pop()))),
    ("a dot before", Parts(|parts| parts.insert(0, String::new()))),
    ("a dot after", Parts(|parts| parts.push(String::new()))),
];

fn text(object: &Value, name: &str) -> String {
    object[name].as_str().unwrap_or_default().to_owned()
}

fn without(object: &mut Value, name: &str) {
    object.as_object_mut().unwrap().remove(name);
}

/// For another key, or for this one differently.
fn another(algorithm: &str) -> &'static str {
    match algorithm {
        "RS256" => "PS256",
        "PS256" => "RS256",
        "ES256" => "ES384",
        "ES384" => "ES256",
        _ => "RS512",
    }
}

fn append(object: &str, member: &str) -> Vec<u8> {
    format!("{},{member}}}", object.trim_end().strip_suffix('}').unwrap_or(object)).into_bytes()
}

fn replace_exp(claims: &str, digits: &str) -> Vec<u8> {
    let Ok(mut members @ Value::Object(_)) = serde_json::from_str(claims) else {
        return claims.into();
    };
    without(&mut members, "exp");
    append(&members.to_string(), &format!(r#""exp":{digits}"#))
}

fn broken(text: &str) -> Vec<u8> {
    let mut bytes = append(text, r#""x":"?""#);
    let at = bytes.len() - 3;
    bytes[at] = 0xFF;
    bytes
}

fn nested(claims: &str, levels: usize) -> Vec<u8> {
    append(claims, &format!(r#""x":{}{}"#, "[".repeat(levels), "]".repeat(levels)))
}

/// A letter whose every bit counts, which the last one's need not.
fn place(parts: &[String; 3], random: &mut Random) -> (usize, usize) {
    let long: Vec<usize> = (0..3).filter(|part| parts[*part].len() > 1).collect();
    let part = *random.one_of(&long);
    (part, random.below(parts[part].len() - 1))
}

fn padded(part: &str) -> String {
    let whole = part.len().div_ceil(4) * 4;
    if whole == part.len() {
        part.to_owned()
    } else {
        format!("{part}{}", "=".repeat(whole - part.len()))
    }
}

/// Another last letter that stands for the same bytes, where bits are left over.
fn other_bits(part: &str) -> String {
    const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let Some(last) = part.chars().last().filter(|_| part.len() % 4 > 1) else {
        return part.to_owned();
    };
    let at = LETTERS.find(last).unwrap();
    format!("{}{}", &part[..part.len() - 1], &LETTERS[at + 1..at + 2])
}

fn twice(part: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(part)
}
