//! The house: imports point down, JavaScript stays on its floors, nobody asks the time, and files stay small.

#![cfg(not(target_arch = "wasm32"))]
#![allow(missing_docs, reason = "a test has no users")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "support/rust_source.rs"]
mod rust_source;

use std::fs;
use std::path::{Path, PathBuf};

use rust_source::{code_lines, paths_of, without_comments_and_texts};

/// Each floor with all that it may name of the crate, from the ground up.
const FLOORS: [(&str, &[&str]); 7] = [
    ("words", &["words"]),
    ("decisions", &["words", "decisions"]),
    ("ports", &["words", "decisions", "ports"]),
    ("outbox", &["words", "decisions", "ports", "outbox"]),
    ("engine", &["words", "decisions", "ports", "outbox", "engine"]),
    ("platform", &["words", "decisions", "ports", "platform"]),
    ("boundary", &["words", "decisions", "ports", "outbox", "engine", "platform", "boundary"]),
];

/// What binds to JavaScript or to a browser; only `platform` and `boundary` may.
const BINDINGS: [&str; 11] = [
    "gloo",
    "gloo_net",
    "gloo_timers",
    "gloo_utils",
    "idb",
    "js_sys",
    "rexie",
    "serde_wasm_bindgen",
    "wasm_bindgen",
    "wasm_bindgen_futures",
    "web_sys",
];

/// The core is told what time it is.
const CLOCKS: [&str; 2] = ["SystemTime::now", "Instant::now"];

const MOST_LINES: usize = 500;
const MOST_LINES_OF_CODE: usize = 350;

/// What is wrong with one file, in sentences that name it.
fn violations(file: &str, source: &str) -> Vec<String> {
    let module = module_of(file);
    let floor = module.first().map_or("", String::as_str);
    let mut wrong = Vec::new();
    let code = without_comments_and_texts(source);
    for path in paths_of(&code) {
        if let Some(named) = floor_named(&path, module.len()) {
            let allowed = FLOORS.iter().find(|(name, _)| *name == floor).map(|(_, allowed)| *allowed);
            if allowed.is_some_and(|allowed| !allowed.contains(&named.as_str())) {
                wrong.push(format!("{file}: `{floor}` reaches up or sideways to `{named}`"));
            }
        }
        let binds = path.first().is_some_and(|first| BINDINGS.contains(&first.as_str()));
        if binds && !["platform", "boundary"].contains(&floor) {
            wrong.push(format!("{file}: `{}` outside of platform and boundary", path[0]));
        }
        let joined = path.join("::");
        if let Some(clock) = CLOCKS.iter().find(|clock| joined.ends_with(*clock)) {
            wrong.push(format!("{file}: `{clock}`: time is passed in"));
        }
    }
    let lines = source.lines().count();
    if lines > MOST_LINES {
        wrong.push(format!("{file}: {lines} lines, more than {MOST_LINES}"));
    }
    let is_test = module.iter().any(|name| name == "tests");
    let lines_of_code = code_lines(source);
    if !is_test && lines_of_code > MOST_LINES_OF_CODE {
        wrong.push(format!("{file}: {lines_of_code} lines of code, more than {MOST_LINES_OF_CODE}"));
    }
    wrong
}

/// `src/outbox/append.rs` is `outbox::append`, `src/outbox/mod.rs` is `outbox`.
fn module_of(file: &str) -> Vec<String> {
    let path = file.trim_start_matches("src/").trim_end_matches(".rs");
    path.split('/').filter(|name| !["lib", "mod"].contains(name)).map(str::to_owned).collect()
}

/// The floor that a path leads to from a module of this depth, if it leads to one at all.
fn floor_named(path: &[String], depth: usize) -> Option<String> {
    let climbed = path.iter().take_while(|name| *name == "super").count();
    let floor = match path.first().map(String::as_str)? {
        "crate" | "heyho_sync" => path.get(1),
        "super" if climbed >= depth => path.get(climbed),
        _ => None,
    }?;
    FLOORS.iter().any(|(name, _)| name == floor).then(|| floor.clone())
}

fn source_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            source_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_source_file_keeps_the_rules_of_the_house() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    source_files(&root.join("src"), &mut files);
    assert!(files.len() > 20, "the sources were not found");
    let mut wrong = Vec::new();
    for file in files {
        let name = file.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
        wrong.extend(violations(&name, &fs::read_to_string(&file).unwrap()));
    }
    wrong.sort();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_folder_of_the_source_is_a_floor() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for entry in fs::read_dir(root).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(name == "lib.rs" || FLOORS.iter().any(|(floor, _)| *floor == name), "{name} is no floor");
    }
}

#[test]
fn an_import_that_points_up_is_found_however_it_is_written() {
    for (file, source) in [
        ("src/words/kind.rs", "use crate::decisions::batch::cut;"),
        ("src/words/kind.rs", "use crate::{words::key::RowKey, outbox::Outbox};"),
        ("src/words/record/mod.rs", "use super::super::ports::store::Store;"),
        ("src/decisions/batch.rs", "fn f() { crate::outbox::Outbox::<()>::g() }"),
        ("src/decisions/batch.rs", "use crate :: ports\n    :: store;"),
        ("src/ports/store/mod.rs", "pub use crate::{self as house, words::{key::RowKey}, engine::{Engine}};"),
        ("src/outbox/mod.rs", "impl X for super::engine::Engine {}"),
        ("src/platform/row.rs", "use crate::outbox::Outbox;"),
        ("src/engine/mod.rs", "#[cfg(test)] mod tests { use crate::platform::fetch::Fetch; }"),
    ] {
        assert_eq!(violations(file, source).len(), 1, "{source}");
    }
}

#[test]
fn an_import_that_points_down_is_allowed_and_so_is_prose() {
    for (file, source) in [
        (
            "src/outbox/append.rs",
            "use super::{Outbox, write};\nuse crate::{ports::store::Store, words::kind::Kind};",
        ),
        (
            "src/words/kind.rs",
            "/// See [`crate::engine`].\n// use crate::engine::Engine;\n/* crate::outbox */ fn f() {}",
        ),
        (
            "src/words/kind.rs",
            "const TEXT: &str = \"crate::engine::Engine\"; const RAW: &str = r#\"crate::outbox\"#;",
        ),
        ("src/words/record/mod.rs", "use super::kind::Kind; fn f<'a>(x: &'a str) -> char { '\"' }"),
        ("src/boundary/mod.rs", "use crate::engine::Engine; use wasm_bindgen::JsValue;"),
        ("src/platform/row.rs", "use js_sys::JsString; use crate::ports::store::Row;"),
        ("src/lib.rs", "pub mod words; pub mod engine;"),
    ] {
        assert_eq!(violations(file, source), Vec::<String>::new(), "{source}");
    }
}

#[test]
fn javascript_and_clocks_are_found_where_they_do_not_belong() {
    for source in [
        "use wasm_bindgen::JsValue;",
        "use rexie::{Rexie};",
        "fn f() -> f64 { js_sys::Date::now() }",
        "fn f() { let _ = std::time::SystemTime::now(); }",
        "use std::time::{Instant, SystemTime};\nfn f() { let _ = Instant::now(); }",
        "#[wasm_bindgen::prelude::wasm_bindgen] pub struct X;",
    ] {
        assert_eq!(violations("src/engine/sync.rs", source).len(), 1, "{source}");
    }
}

#[test]
fn a_file_that_is_too_long_is_found_and_comments_and_tests_are_not_code() {
    let code = "fn f() {}\n".repeat(351);
    assert_eq!(violations("src/words/kind.rs", &code).len(), 1);
    assert!(violations("src/words/tests/kind.rs", &code).is_empty());
    let prose = format!("{}{}", "// prose\n\n".repeat(70), "fn f() {}\n".repeat(350));
    assert!(violations("src/words/kind.rs", &prose).is_empty());
    let tests =
        format!("fn f() {{}}\n#[cfg(test)]\nmod tests {{\n{}}}\n", "    fn t() { if x {} }\n".repeat(400));
    assert!(violations("src/words/kind.rs", &tests).is_empty());
    let behind = format!("#[cfg(test)]\nmod tests {{\n    fn t() {{}}\n}}\n{code}");
    assert_eq!(violations("src/words/kind.rs", &behind).len(), 1);
    assert_eq!(violations("src/words/kind.rs", &"// prose\n".repeat(501)).len(), 1);
}
