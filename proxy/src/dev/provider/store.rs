//! What the provider remembers: registered clients, codes and refresh tokens. All of it bounded.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use super::client::Client;
use super::people::Scopes;

pub(super) struct Store {
    /// The client known from the start; registrations cannot push it out.
    own: Client,
    registered: Bounded<Client>,
    codes: Bounded<Code>,
    refreshes: Bounded<Grant>,
    /// Codes and refresh tokens already used, and the sign-in each of them came from.
    spent: Bounded<SignIn>,
    sign_ins: u64,
}

/// What somebody allowed a client to do.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Grant {
    pub(super) client_id: String,
    pub(super) subject: &'static str,
    pub(super) scopes: Scopes,
    pub(super) sign_in: SignIn,
}

/// An authorization code's other half: what must come back with it, and what it is worth.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Code {
    pub(super) grant: Grant,
    pub(super) redirect_uri: String,
    pub(super) challenge: String,
    pub(super) issued: SystemTime,
}

/// One act of signing in; every token that descends from it bears its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SignIn(u64);

impl Store {
    pub(super) fn new(own: Client) -> Self {
        Self {
            own,
            registered: Bounded::new(),
            codes: Bounded::new(),
            refreshes: Bounded::new(),
            spent: Bounded::new(),
            sign_ins: 0,
        }
    }

    pub(super) fn client(&self, id: &str) -> Option<&Client> {
        if self.own.id == id { Some(&self.own) } else { self.registered.get(id) }
    }

    pub(super) fn register(&mut self, client: Client) {
        self.registered.put(client.id.clone(), client);
    }

    pub(super) fn sign_in(&mut self) -> SignIn {
        self.sign_ins = self.sign_ins.wrapping_add(1);
        SignIn(self.sign_ins)
    }

    pub(super) fn put_code(&mut self, text: String, code: Code) {
        self.codes.put(text, code);
    }

    /// A code is good once, whatever comes of it, and not for long.
    pub(super) fn take_code(&mut self, text: &str, now: SystemTime) -> Option<Code> {
        let Some(code) = self.codes.take(text) else {
            self.suspect(text);
            return None;
        };
        self.spent.put(text.to_owned(), code.grant.sign_in);
        Some(code).filter(|code| now < code.issued + CODE_LIFETIME)
    }

    pub(super) fn put_refresh(&mut self, text: String, grant: Grant) {
        self.refreshes.put(text, grant);
    }

    /// The grant behind a refresh token, which stays good until it is retired.
    pub(super) fn refresh(&mut self, text: &str) -> Option<Grant> {
        let grant = self.refreshes.get(text).cloned();
        if grant.is_none() {
            self.suspect(text);
        }
        grant
    }

    /// A refresh token is good once; the next one takes its place.
    pub(super) fn retire(&mut self, text: &str) {
        if let Some(grant) = self.refreshes.take(text) {
            self.spent.put(text.to_owned(), grant.sign_in);
        }
    }

    /// RFC 9700 §4.14.2: what is presented twice was stolen from one of the two presenters, and
    /// nobody can tell from which, so everything that came of that sign-in ends.
    fn suspect(&mut self, text: &str) {
        if let Some(&sign_in) = self.spent.get(text) {
            self.refreshes.retain(|grant| grant.sign_in != sign_in);
        }
    }
}

/// A small map that forgets its oldest entry rather than grow.
struct Bounded<T>(VecDeque<(String, T)>);

impl<T> Bounded<T> {
    fn new() -> Self {
        Self(VecDeque::new())
    }

    fn put(&mut self, key: String, value: T) {
        if self.0.len() >= CAPACITY {
            self.0.pop_front();
        }
        self.0.push_back((key, value));
    }

    fn get(&self, key: &str) -> Option<&T> {
        self.0.iter().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    fn take(&mut self, key: &str) -> Option<T> {
        let place = self.0.iter().position(|(known, _)| known == key)?;
        self.0.remove(place).map(|(_, value)| value)
    }

    fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        self.0.retain(|(_, value)| keep(value));
    }
}

const CODE_LIFETIME: Duration = Duration::from_mins(1);
const CAPACITY: usize = 512;
