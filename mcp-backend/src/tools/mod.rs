//! What this server can do: one file a tool, and one line in the list below.

mod given;
mod scope;
mod text;

use rmcp::handler::server::router::tool::ToolRouter;

use crate::backend::Backend;

pub(crate) use scope::scope_of;

/// Brings in the file of each tool, and its `router` into the list of all.
macro_rules! tools {
    ($($(#[$attribute:meta])* $tool:ident,)*) => {
        $($(#[$attribute])* pub(crate) mod $tool;)*

        /// Every tool there is.
        pub(crate) fn every_tool() -> ToolRouter<Backend> {
            let mut every = ToolRouter::new();
            $($(#[$attribute])* every.merge($tool::router());)*
            every
        }
    };
}

tools! {
    calculate,
    echo,
    get_timestamp,
    hello_world,
    otus_teams,
    ping,
    #[cfg(test)] // the guide's: no program has it
    shout,
    whoami,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guide_shows_the_tool_that_is_built_here() {
        let guide = include_str!("../../README.md");
        assert!(guide.contains(&format!("```rust\n{}```", include_str!("shout.rs"))));
        assert!(guide.contains("\n    shout,\n"));
        assert!(every_tool().has_route("shout"));
    }

    #[test]
    fn every_tool_tells_what_it_is() {
        for tool in every_tool().list_all() {
            let annotations = tool.annotations.as_ref().unwrap();
            assert!(tool.title.is_some() && tool.description.is_some(), "{}", tool.name);
            assert!(annotations.read_only_hint.is_some(), "{}", tool.name);
            assert!(tool.output_schema.is_some(), "{}", tool.name);
        }
    }
}
