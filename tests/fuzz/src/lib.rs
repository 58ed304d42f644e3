//! What must hold for any bytes: each module is one fuzz target, and panics where it does not hold.
//! The fuzzer finds the bytes; the ordinary tests run those that were kept through the same functions.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a crate for the fuzzer and a module for the tests, and both may fail loudly"
)]

pub mod call;
pub mod config;
mod desk;
pub mod forwarding;
pub mod headers;
pub mod jose;
pub mod jwks;
pub mod path;
pub mod proof;
pub mod token;
