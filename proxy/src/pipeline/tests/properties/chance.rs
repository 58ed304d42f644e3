//! What chance makes up.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::NOW;

/// Anything, with more of what breaks headers than chance alone would give.
pub(super) fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,20}",
        any::<String>(),
        "[ \t]{0,2}[a-z]{1,3}(\r\n|\n|\r|\u{0}|,|;|=\\?base64\\?|\\?=)[ -~]{0,8}[ \t]{0,2}",
        "=\\?base64\\?[A-Za-z0-9+/]{0,8}(=|\\?=)?",
    ]
}

pub(super) fn values() -> impl Strategy<Value = Value> {
    let number = any::<f64>().prop_map(|number| json!(number));
    let good = select(&["https://id.example", "https://mcp.example/mcp", "ada", "mcp:read"][..]);
    let simple = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (0..600_u64).prop_map(|seconds| json!(NOW.as_secs() - 300 + seconds)),
        number,
        good.prop_map(Value::from),
        texts().prop_map(Value::from),
    ];
    simple.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::from),
            btree_map("[a-z]{0,3}", inner, 0..3).prop_map(|members| json!(members)),
        ]
    })
}
