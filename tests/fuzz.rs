//! The kept corpus of the fuzz targets, through the very functions that the fuzzer calls.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

#[path = "fuzz/src/lib.rs"]
mod targets;

/// Every file there is, and there must be some.
fn each_holds(target: &str, holds: impl Fn(&[u8])) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let corpus = root.join("tests/fuzz/corpus").join(target);
    let mut count = 0;
    for entry in fs::read_dir(&corpus).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        let held = catch_unwind(AssertUnwindSafe(|| holds(&bytes)));
        assert!(held.is_ok(), "it does not hold for {}", path.display());
        count += 1;
    }
    assert!(count >= 10, "only {count} files in {}", corpus.display());
}

#[test]
fn nobody_passes_with_any_kept_value_of_authorization_that_was_not_signed() {
    each_holds("token", targets::token::holds);
}

#[test]
fn a_second_reading_finds_what_the_first_one_did_in_every_kept_token() {
    each_holds("jose", targets::jose::holds);
}

#[test]
fn no_kept_proof_passes_but_once_and_for_the_request_that_it_is_about() {
    each_holds("proof", targets::proof::holds);
}

#[test]
fn every_key_that_is_taken_from_a_kept_set_is_its_owners_alone() {
    each_holds("jwks", targets::jwks::holds);
}

#[test]
fn every_kept_configuration_is_refused_with_words_or_builds_a_pipeline() {
    each_holds("config", targets::config::holds);
}

#[test]
fn every_kept_path_has_one_reading_or_leads_nowhere() {
    each_holds("path", targets::path::holds);
}

#[test]
fn nothing_in_any_kept_head_speaks_in_our_name() {
    each_holds("headers", targets::headers::holds);
}

#[test]
fn no_kept_word_of_a_client_moves_it_elsewhere() {
    each_holds("forwarding", targets::forwarding::holds);
}

#[test]
fn whatever_is_taken_for_a_call_in_a_kept_body_is_what_others_read_in_it() {
    each_holds("call", targets::call::holds);
}
