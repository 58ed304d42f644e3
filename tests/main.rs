//! The proxy as its users meet it: a process, a configuration file, sockets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test may fail loudly"
)]

mod admin;
mod arrival;
mod assertion;
mod attack;
mod audit;
mod authenticate;
mod backend;
mod backend_tls;
mod browser;
mod calls;
mod certificate;
mod chaos;
mod clients;
mod conditions;
mod deluge;
mod deploy;
mod dev;
mod differential;
mod door;
mod e2e;
mod endurance;
mod explain;
mod flood;
mod framing;
mod front;
mod fuzz;
mod handover;
mod harness;
mod headers;
mod idle;
mod inject;
mod introspection;
mod keys;
mod layering;
mod limits;
mod lists;
mod metadata;
mod mutual;
mod policy;
mod proof;
mod rate;
mod record;
mod redirect;
mod reload;
mod revocation;
mod session;
mod siege;
mod sites;
mod start;
mod status;
mod stop;
mod stream;
mod tls;
mod traces;
mod upgrade;
mod upstreams;
mod validate;
mod websocket;
