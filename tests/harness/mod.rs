//! A world with one issuer, one backend that remembers, and the real proxy between them.

mod authority;
mod broker;
mod caller;
mod certificate;
mod fickle;
pub(crate) mod frames;
mod h2;
mod identity;
mod introspection;
mod issuer;
mod proof;
mod tls_listener;
mod tls_relay;
mod token_endpoint;
mod upstream;
mod wire;
mod world;

pub(crate) use authority::{Authority, Certified, replace};
pub(crate) use broker::Broker;
pub(crate) use caller::{Caller, JSON, NOW, request, tool};
pub(crate) use certificate::Certificate;
pub(crate) use fickle::Fickle;
pub(crate) use h2::H2;
pub(crate) use identity::{ClientCertificate, Identity};
pub(crate) use introspection::Asked;
pub(crate) use issuer::{Claims, Issuer, Key, now};
pub(crate) use proof::{Proof, ProofKey};
pub(crate) use tls_listener::TlsListener;
pub(crate) use tls_relay::TlsRelay;
pub(crate) use upstream::{Seen, Upstream};
pub(crate) use wire::{Response, Wire};
pub(crate) use world::{
    Process, Stranger, World, backend, children, follow, listening, postern, wait_until,
};
