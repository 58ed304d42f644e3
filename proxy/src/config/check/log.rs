//! How much is logged: `info`, or `info,edge=debug`.

use tracing::level_filters::LevelFilter;

use super::value::Checked;
use crate::config::invalid::Wrong;
use crate::config::{LOGGING_MODULES, LogLevels};
use crate::near::distance;

/// The usual level, and what is said of modules; each once.
pub(super) fn levels(text: &str) -> Checked<LogLevels> {
    let mut usual = None;
    let mut levels = LogLevels::default();
    for part in text.split(',').map(str::trim) {
        let Some((name, written)) = part.split_once('=') else {
            if usual.replace(level(part)?).is_some() {
                let reason = "two levels, neither of them of a module";
                return Err(Wrong::new(reason, "write one, then module=level for others"));
            }
            continue;
        };
        let (name, level) = (module(name.trim())?, level(written.trim())?);
        if levels.modules.iter().any(|(known, _)| *known == name) {
            let reason = format!("{name} is named twice");
            return Err(Wrong::new(reason, "keep one of the two"));
        }
        levels.modules.push((name, level));
    }
    levels.usual = usual.unwrap_or(levels.usual);
    Ok(levels)
}

fn level(text: &str) -> Checked<LevelFilter> {
    match text {
        "off" => Ok(LevelFilter::OFF),
        "error" => Ok(LevelFilter::ERROR),
        "warn" => Ok(LevelFilter::WARN),
        "info" => Ok(LevelFilter::INFO),
        "debug" => Ok(LevelFilter::DEBUG),
        // Not which: it may be what a reference stands for.
        _ => Err(Wrong::new("there is no such level", "write error, warn, info, debug or off")),
    }
}

fn module(text: &str) -> Checked<&'static str> {
    if let Some(known) = LOGGING_MODULES.iter().find(|known| **known == text) {
        return Ok(known);
    }
    let near = LOGGING_MODULES.iter().find(|known| distance(known, text) <= 2);
    let fix = match near {
        Some(near) => format!("write {near}"),
        None => format!("these log: {}", LOGGING_MODULES.join(", ")),
    };
    Err(Wrong::new("no module of that name logs anything", fix))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn a_level_is_for_all_but_the_modules_that_have_their_own() {
        assert_eq!(levels("info").unwrap(), LogLevels::default());
        let read = levels(" warn, edge=debug,gateway = off").unwrap();
        assert_eq!(read.usual, LevelFilter::WARN);
        let modules = vec![("edge", LevelFilter::DEBUG), ("gateway", LevelFilter::OFF)];
        assert_eq!(read.modules, modules);
        assert_eq!(levels("edge=debug").unwrap().usual, LevelFilter::INFO);
    }

    #[test]
    fn what_says_nothing_is_refused_in_words() {
        for (written, reason, fix) in [
            ("loud", "there is no such level", "write error, warn, info, debug or off"),
            ("", "there is no such level", "write error, warn, info, debug or off"),
            ("info,", "there is no such level", "write error, warn, info, debug or off"),
            (
                "info,debug",
                "two levels, neither of them of a module",
                "write one, then module=level for others",
            ),
            ("egde=debug", "no module of that name logs anything", "write edge"),
            ("edge=loud", "there is no such level", "write error, warn, info, debug or off"),
            ("edge=info,edge=debug", "edge is named twice", "keep one of the two"),
            ("edge=info=debug", "there is no such level", "write error, warn, info, debug or off"),
        ] {
            let (wrong, right) = (levels(written).unwrap_err(), Wrong::new(reason, fix));
            assert_eq!(format!("{wrong:?}"), format!("{right:?}"), "{written}");
        }
        let pingora = levels("pingora_core=debug").unwrap_err();
        assert!(format!("{pingora:?}").contains("these log: audit, cli,"), "{pingora:?}");
    }

    /// Whoever asks for a module by name must find it, and no other.
    #[test]
    fn the_modules_are_those_that_log() {
        let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut logging = BTreeSet::new();
        let mut folders = vec![src.clone()];
        while let Some(folder) = folders.pop() {
            for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                if path.is_dir() {
                    folders.push(path);
                } else if ["error", "warn", "info", "debug"].iter().any(|level| {
                    fs::read_to_string(&path).unwrap().contains(&format!("tracing::{level}!("))
                }) {
                    let path = path.strip_prefix(&src).unwrap().to_str().unwrap();
                    logging.insert(path.split(['/', '.']).next().unwrap().to_owned());
                }
            }
        }
        assert_eq!(Vec::from_iter(logging), LOGGING_MODULES);
    }
}
