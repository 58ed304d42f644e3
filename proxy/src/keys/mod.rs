//! An issuer's public keys.

pub mod jwks;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwapOption;
use aws_lc_rs::signature::ParsedPublicKey;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;

/// One public key and the single algorithm that it verifies (RFC 8725 section 3.1).
pub struct Key {
    id: Option<String>,
    algorithm: Algorithm,
    /// Taken apart once: what jsonwebtoken does for each token anew costs as much again as the check.
    public: ParsedPublicKey,
    /// The key's own numbers, by which two fetches are compared.
    material: String,
}

impl Key {
    /// Its name, as JOSE spells it.
    pub(crate) fn algorithm(&self) -> &'static str {
        ALGORITHMS
            .iter()
            .find(|(algorithm, _)| *algorithm == self.algorithm)
            .map_or("none", |(_, name)| *name)
    }

    /// Its id, if it has one.
    pub(crate) fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Whether `signature` is this key's, over `message`.
    pub(crate) fn verifies(&self, message: &[u8], signature: &str) -> bool {
        let signature = URL_SAFE_NO_PAD.decode(signature);
        signature.is_ok_and(|signature| self.public.verify_sig(message, &signature).is_ok())
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        (&self.id, self.algorithm, &self.material) == (&other.id, other.algorithm, &other.material)
    }
}

/// The keys of one issuer at one time. Immutable, never empty.
pub struct KeySet {
    generation: u64,
    keys: Vec<Arc<Key>>,
}

impl KeySet {
    /// Rises with every change, so that what an older set vouched for can be told.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// The keys that a token with this key id may have been signed with.
    pub(crate) fn candidates<'k>(
        &'k self,
        id: Option<&'k str>,
        algorithm: Algorithm,
    ) -> impl Iterator<Item = &'k Arc<Key>> {
        let named = move |key: &&Arc<Key>| id.is_none() || key.id.as_deref() == id;
        let fits = move |key: &&Arc<Key>| key.algorithm == algorithm;
        self.keys.iter().filter(named).filter(fits).take(MOST_CANDIDATES)
    }

    /// Whether the issuer publishes a key of this id at all.
    pub(crate) fn knows(&self, id: &str) -> bool {
        self.keys.iter().any(|key| key.id.as_deref() == Some(id))
    }

    /// Whether `key` is still one of these: the same id, algorithm and numbers.
    pub fn holds(&self, key: &Key) -> bool {
        self.keys.iter().any(|held| **held == *key)
    }

    /// Ids under which `earlier` had another key, which this set no longer has.
    pub(crate) fn reused_since<'k>(&'k self, earlier: &'k Self) -> impl Iterator<Item = &'k str> {
        let gone =
            |id| earlier.keys.iter().any(|old| old.id.as_ref() == Some(id) && !self.holds(old));
        let new = self.keys.iter().filter(|key| !earlier.holds(key));
        new.filter_map(|key| key.id.as_ref()).filter(move |id| gone(id)).map(String::as_str)
    }

    /// All of them.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &Key> {
        self.keys.iter().map(Arc::as_ref)
    }

    /// Whether there is a key for this algorithm.
    pub(crate) fn can(&self, algorithm: Algorithm) -> bool {
        self.keys.iter().any(|key| key.algorithm == algorithm)
    }

    /// How many keys there are.
    pub fn size(&self) -> usize {
        self.keys.len()
    }
}

/// The current [`KeySet`], or none. Only the refresher writes; requests only read.
#[derive(Default)]
pub struct Keyring {
    keys: ArcSwapOption<KeySet>,
    /// Of the last set that was here: it rises over a time without keys too, so that no set is ever
    /// taken for an earlier one.
    generation: AtomicU64,
}

impl Keyring {
    /// The keys in force.
    pub fn current(&self) -> Option<Arc<KeySet>> {
        self.keys.load_full()
    }

    /// Whether there were keys once, and are none now.
    pub fn is_emptied(&self) -> bool {
        self.generation.load(Ordering::Relaxed) > 0 && self.keys.load().is_none()
    }

    /// Takes over `keys`; tells whether they differ from those before.
    pub fn replace(&self, keys: Vec<Key>) -> bool {
        let old = self.keys.load();
        if old.as_ref().is_some_and(|old| old.keys.iter().map(Arc::as_ref).eq(&keys)) {
            return false;
        }
        let keys = keys.into_iter().map(Arc::new).collect();
        let generation = self.generation.fetch_add(1, Ordering::Relaxed) + 1;
        self.keys.store(Some(Arc::new(KeySet { generation, keys })));
        true
    }

    /// Drops all keys; tells whether there were any.
    pub fn empty(&self) -> bool {
        self.keys.swap(None).is_some()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.id.as_deref().unwrap_or("-");
        write!(f, "{id} ({:?})", self.algorithm)
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "generation {}: {:?}", self.generation, self.keys)
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.current(), f)
    }
}

/// All that a key can have.
const ALGORITHMS: [(Algorithm, &str); 9] = [
    (Algorithm::RS256, "RS256"),
    (Algorithm::RS384, "RS384"),
    (Algorithm::RS512, "RS512"),
    (Algorithm::PS256, "PS256"),
    (Algorithm::PS384, "PS384"),
    (Algorithm::PS512, "PS512"),
    (Algorithm::ES256, "ES256"),
    (Algorithm::ES384, "ES384"),
    (Algorithm::EdDSA, "EdDSA"),
];

/// A token without a key id costs at most this many signature checks.
const MOST_CANDIDATES: usize = 4;

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::ED25519;

    use super::*;

    fn key(id: &str, number: u8) -> Key {
        Key {
            id: Some(id.to_owned()),
            algorithm: Algorithm::ES256,
            public: ParsedPublicKey::new(&ED25519, [number; 32]).unwrap(),
            material: number.to_string(),
        }
    }

    #[test]
    fn a_set_holds_a_key_only_under_its_id_and_with_its_numbers() {
        let keyring = Keyring::default();
        keyring.replace(vec![key("1", 1), key("2", 2)]);
        let keys = keyring.current().unwrap();
        assert!(keys.holds(&key("2", 2)));
        assert!(!keys.holds(&key("2", 1)), "a reused id");
        assert!(!keys.holds(&key("3", 2)), "another id");
    }

    #[test]
    fn an_id_is_reused_when_another_key_has_taken_it_over() {
        let set = |keys| {
            let keyring = Keyring::default();
            keyring.replace(keys);
            keyring.current().unwrap()
        };
        let reused = |before, after| set(after).reused_since(&set(before)).count();
        assert_eq!(reused(vec![key("1", 1)], vec![key("1", 2)]), 1);
        assert_eq!(reused(vec![key("1", 1)], vec![key("1", 1), key("2", 2)]), 0);
        assert_eq!(reused(vec![key("1", 1)], vec![key("2", 1)]), 0);
        assert_eq!(reused(vec![key("1", 1)], vec![key("1", 1), key("1", 2)]), 0, "both");
    }

    #[test]
    fn an_emptied_keyring_never_repeats_a_generation() {
        let keyring = Keyring::default();
        assert!(!keyring.is_emptied(), "it never had any");
        keyring.replace(vec![key("1", 1)]);
        let before = keyring.current().unwrap().generation();
        assert!(keyring.empty() && keyring.is_emptied());
        assert!(keyring.current().is_none() && !keyring.empty());
        assert!(keyring.replace(vec![key("1", 1)]), "it is news that the key is back");
        assert!(keyring.current().unwrap().generation() > before);
    }
}
