//! What of the authorization server is done here, for people and for clients that know no better.

mod aliases;
mod facade;
mod login;
mod mirror;
