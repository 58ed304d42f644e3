//! What of the authorization server is done here, for people and for clients that know no better.

mod login;
mod mirror;
