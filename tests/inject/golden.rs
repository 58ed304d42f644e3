//! What comes out of each manifest, to the byte; `POSTERN_BLESS=1` writes it down anew.

use std::fs;

use super::{cases, folder, inject};

#[test]
fn each_manifest_becomes_what_is_written_down() {
    let bless = std::env::var_os("POSTERN_BLESS").is_some();
    let mut wrong = Vec::new();
    for (name, path) in cases() {
        let told = inject(&path);
        assert!(matches!(told.code, Some(0 | 78)), "{name}: {:?}", told.code);
        assert_eq!(told.manifests.is_empty(), told.code == Some(78), "{name}: all or nothing");
        let changed = told.code == Some(0) && told.manifests != fs::read_to_string(&path).unwrap();
        let manifests = if changed { told.manifests } else { String::new() };
        for (ending, text) in [("yaml", manifests), ("txt", told.notes)] {
            let file = folder("golden").join(format!("{name}.{ending}"));
            if bless && !text.is_empty() {
                fs::write(&file, &text).unwrap();
            }
            if fs::read_to_string(&file).unwrap_or_default() != text {
                wrong.push(file.display().to_string());
            }
        }
    }
    assert!(wrong.is_empty(), "not as written down:\n{}", wrong.join("\n"));
}

#[test]
fn lines_are_added_and_none_is_changed() {
    for (name, path) in cases() {
        let told = inject(&path);
        let before = fs::read_to_string(&path).unwrap();
        let mut after = told.manifests.lines();
        for line in before.lines().filter(|_| told.code == Some(0)) {
            assert!(after.any(|kept| kept == line), "{name}: {line:?} is gone, or elsewhere");
        }
    }
}

#[test]
fn a_second_time_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    for (name, path) in cases() {
        let once = inject(&path);
        let file = directory.path().join("once.yaml");
        fs::write(&file, &once.manifests).unwrap();
        let twice = inject(&file);
        assert_eq!((twice.code, twice.manifests), (Some(0), once.manifests), "{name}");
        assert!(!twice.notes.contains("the proxy is in"), "{name}: {}", twice.notes);
    }
}
