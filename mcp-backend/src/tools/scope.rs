//! What a tool demands of its caller, told beside its code and to its clients.

use rmcp::model::{MetaObject, Tool};

/// For the `meta` of a tool: whoever calls it must hold this scope.
pub(super) fn needs(scope: &str) -> MetaObject {
    let mut meta = MetaObject::new();
    meta.insert(SCOPE.to_owned(), scope.into());
    meta
}

/// The scope that a tool demands, if it demands one.
pub(crate) fn scope_of(tool: &Tool) -> Option<&str> {
    tool.meta.as_ref()?.get(SCOPE)?.as_str()
}

const SCOPE: &str = "postern/scope";
