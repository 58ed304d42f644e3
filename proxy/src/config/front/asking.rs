//! How an issuer wants to be asked, where that is not as clients ask.

/// What becomes of a client's words on their way to the issuer.
#[derive(Clone, Debug, Default)]
pub struct Asking {
    /// Of `resource` (RFC 8707).
    pub resource: ResourceAs,
    /// Of scopes: what the issuer calls them. Those that are not listed keep their names.
    pub scopes: Vec<(String, String)>,
}

/// What becomes of `resource`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ResourceAs {
    /// It goes on as it is.
    #[default]
    Kept,
    /// The issuer must not see it.
    Dropped,
    /// It goes by another name, or with another value.
    Named {
        /// The parameter.
        name: String,
        /// None: the resource itself.
        value: Option<String>,
    },
}

impl Asking {
    /// The parameter that stands for `resource`, if there is to be one.
    pub(crate) fn resource<'a>(&'a self, resource: &'a str) -> Option<(&'a str, &'a str)> {
        match &self.resource {
            ResourceAs::Kept => Some((RESOURCE, resource)),
            ResourceAs::Dropped => None,
            ResourceAs::Named { name, value } => Some((name, value.as_deref().unwrap_or(resource))),
        }
    }

    /// The scopes as the issuer calls them.
    pub(crate) fn scopes(&self, asked: &str) -> String {
        let named = |scope: &str| {
            let mut listed = self.scopes.iter();
            let theirs = listed.find(|(ours, _)| ours == scope);
            theirs.map_or(scope, |(_, theirs)| theirs.as_str()).to_owned()
        };
        let named: Vec<String> =
            asked.split(' ').filter(|scope| !scope.is_empty()).map(named).collect();
        named.join(" ")
    }
}

/// The name that clients know.
pub(crate) const RESOURCE: &str = "resource";
