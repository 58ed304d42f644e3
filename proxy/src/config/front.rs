//! The OAuth front: what of the authorization server is done here, for people and for clients that know
//! no better.

mod asking;
mod facade;
mod fields;
mod login;

use serde_json::{Map, Value};

use super::{Issuer, Secret};
pub(crate) use asking::RESOURCE;
pub use asking::{Asking, ResourceAs};
pub(crate) use facade::is_same;
pub use facade::{Facade, RedirectUri};
pub(crate) use fields::{FIELDS, Kind};
pub use login::{Broker, Login, OwnClient, Through};

/// What the front does, and for whom.
#[derive(Clone, Debug)]
pub struct Front {
    /// Whose clients and people it serves.
    pub issuer: Issuer,
    /// What its metadata says wrongly, or not at all.
    pub overrides: Map<String, Value>,
    /// What states, codes and the like are sealed with: the first seals, all open. None: a key made at
    /// start.
    pub keys: Vec<Secret>,
    /// Whether its metadata can be read here, too.
    pub mirror: bool,
    /// Whether clients reach its endpoints here, too.
    pub aliases: bool,
    /// How we stand in for it, if we do.
    pub facade: Option<Facade>,
    /// How it wants to be asked.
    pub asking: Asking,
    /// How people log in here, if they can.
    pub login: Option<Login>,
}
