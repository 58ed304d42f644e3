//! Where decisions are told.

use super::value::{self, Checked};
use crate::config::file::Section;
use crate::config::invalid::Wrong;
use crate::config::{Audit, AuditTo};

/// The section `audit`.
pub(super) fn rules(root: &mut Section<'_>) -> Option<Audit> {
    let mut section = root.section("audit")?;
    let to = section.required("to", place, "write stdout, stderr or a file's path");
    let chain = section.optional("chain", value::yes_or_no).unwrap_or(false);
    let required = section.optional("required", value::yes_or_no).unwrap_or(false);
    let arguments = arguments(&mut section);
    let to = to?;
    if chain && !matches!(to, AuditTo::File(_)) {
        let reason =
            "a chain goes on from the last line of a file, which a stream does not give back";
        section.wrong("chain", None, Wrong::new(reason, "name a file in audit.to, or remove it"));
    }
    Some(Audit { to, chain, required, arguments })
}

fn arguments(section: &mut Section<'_>) -> Option<Vec<String>> {
    let told = section.optional("arguments", value::yes_or_no).unwrap_or(false);
    let hidden = section.list("redact", value::text);
    if section.had("redact") && !told {
        let reason = "arguments are not told, so that there is nothing to hide in them";
        section.wrong("redact", None, Wrong::new(reason, "write arguments: true, or remove it"));
    }
    told.then(|| hidden.unwrap_or_else(|| HIDDEN.map(str::to_owned).to_vec()))
}

/// Unless the operator names others.
const HIDDEN: [&str; 6] = ["authorization", "api_key", "apikey", "password", "secret", "token"];

fn place(text: &str) -> Checked<AuditTo> {
    match text {
        "stdout" => Ok(AuditTo::Stdout),
        "stderr" => Ok(AuditTo::Stderr),
        path if path.starts_with('/') => value::path(path).map(AuditTo::File),
        _ => Err(Wrong::new(
            "neither stdout, stderr nor an absolute path",
            "write for example /var/log/postern/audit.jsonl",
        )),
    }
}
