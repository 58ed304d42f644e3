//! What each reason means, in words for whoever has to do something about it.

use super::Reason;

/// What stands about one reason in `codes.md`. Ends that are no trouble have one sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct About {
    /// What happened.
    pub(crate) what: &'static str,
    pub(crate) more: Option<More>,
}

/// What to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct More {
    pub(crate) expected: &'static str,
    pub(crate) causes: &'static str,
    pub(crate) cure: &'static str,
}

impl Reason {
    /// What it means. Every reason has an entry, which a test holds.
    pub(crate) fn about(self) -> About {
        entry(self.code()).unwrap_or(About { what: "", more: None })
    }
}

fn entry(code: &str) -> Option<About> {
    let entries = CODES.split("\n### ").skip(1);
    let (_, text) = entries.filter_map(|entry| entry.split_once('\n')).find(|(n, _)| *n == code)?;
    let mut lines = text.lines();
    let what = lines.next()?;
    let mut said = |name: &str| lines.next()?.strip_prefix(name);
    let more = said("- Expected: ").zip(said("- Causes: ")).zip(said("- Cure: "));
    let more = more.map(|((expected, causes), cure)| More { expected, causes, cure });
    Some(About { what, more })
}

const CODES: &str = include_str!("codes.md");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_described_and_nothing_else_is() {
        let headings: Vec<_> = CODES.lines().filter_map(|line| line.strip_prefix("### ")).collect();
        let codes: Vec<_> = Reason::ALL.iter().map(|reason| reason.code()).collect();
        assert_eq!(headings, codes, "the same, in the same order");
        let (good, _) = CODES.split_once("\n## Place and page").unwrap();
        for reason in Reason::ALL {
            let about = reason.about();
            assert!(about.what.ends_with('.'), "{reason:?}");
            let is_fine = good.contains(&format!("### {}\n", reason.code()));
            assert_eq!(about.more.is_none(), is_fine, "{reason:?}");
            for text in about.more.iter().flat_map(|m| [m.expected, m.causes, m.cure]) {
                assert!(text.ends_with('.'), "{reason:?}: {text}");
            }
        }
    }

    #[test]
    fn codes_are_small_words() {
        for code in Reason::ALL.iter().map(|reason| reason.code()) {
            assert!(code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{code}");
        }
    }

    /// Whoever reads the table of outcomes finds each of them, and no others.
    #[test]
    fn the_readme_lists_every_code() {
        let readme = include_str!("../../../README.md");
        let (_, table) = readme.split_once("| outcome | means |").unwrap();
        let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
        let cells = rows.filter_map(|row| row.split('|').nth(1));
        let mut listed: Vec<_> = cells
            .flat_map(|cell| cell.split(", "))
            .map(|code| code.trim().trim_matches('`'))
            .collect();
        let mut codes: Vec<_> = Reason::ALL.iter().map(|reason| reason.code()).collect();
        listed.sort_unstable();
        codes.sort_unstable();
        assert_eq!(listed, codes);
    }
}
