//! The documents say which test holds what they promise: those tests exist, and so do the files that they name.

#![cfg(not(target_arch = "wasm32"))]
#![allow(missing_docs, reason = "a test has no users")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Documents whose tables name tests.
const PROMISES: [&str; 2] = ["ARCHITECTURE.md", "docs/delivery.md"];
/// Documents that name files and refer to each other.
const DOCUMENTS: [&str; 8] = [
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "docs/delivery.md",
    "docs/permissions.md",
    "docs/privacy.md",
    "docs/store.md",
    "examples/minimal/README.md",
];
/// Where tests stand.
const SOURCES: [&str; 4] = ["src", "tests", "server/src", "server/tests"];
/// Beginnings of paths within the project.
const FOLDERS: [&str; 6] = ["src/", "tests/", "server/", "extension/", "scripts/", "docs/"];

/// The head of a column that holds names of tests.
const COLUMN: &str = "Test";
/// What stands in that column where no test holds the row.
const NO_TEST: &str = "none";

#[derive(Default)]
struct Tests {
    /// Names of functions.
    functions: BTreeSet<String>,
    /// Sentences of JavaScript tests, cut at what is filled in when they run.
    sentences: Vec<Vec<String>>,
}

impl Tests {
    fn add_rust(&mut self, source: &str) {
        let mut declared = BTreeSet::new();
        let mut listed = BTreeSet::new();
        let mut is_test = false;
        for line in source.lines().map(str::trim) {
            if let Some(attribute) = line.strip_prefix("#[") {
                let path = attribute.split(['(', ']']).next().unwrap_or_default();
                is_test |= ["test", "tokio::test", "wasm_bindgen_test"].contains(&path);
            } else if let Some(name) = function_of(line) {
                let kept = if is_test { &mut self.functions } else { &mut declared };
                kept.insert(name.to_owned());
                is_test = false;
            } else {
                listed.insert(line.trim_end_matches(',').to_owned());
            }
        }
        // A case that a macro runs stands in the macro's list, beside its function.
        self.functions.extend(declared.intersection(&listed).cloned());
    }

    fn add_javascript(&mut self, source: &str) {
        for (at, call) in source.match_indices("test(") {
            if source[..at].ends_with(char::is_alphanumeric) {
                continue;
            }
            let behind = source[at + call.len()..].trim_start();
            let quote = behind.chars().next().filter(|mark| ['"', '`'].contains(mark));
            let Some(sentence) = quote.and_then(|quote| behind[1..].split(quote).next()) else { continue };
            let pieces = sentence.split("${").enumerate().map(|(index, piece)| match index {
                0 => piece,
                _ => piece.split_once('}').map_or("", |(_, rest)| rest),
            });
            self.sentences.push(pieces.map(str::to_owned).collect());
        }
    }

    fn has(&self, name: &str) -> bool {
        self.functions.contains(name) || self.sentences.iter().any(|pieces| fits(pieces, name))
    }
}

fn function_of(line: &str) -> Option<&str> {
    let heads = ["fn ", "pub fn ", "async fn ", "pub async fn "];
    heads.iter().find_map(|head| line.strip_prefix(head))?.split(['(', '<']).next()
}

fn fits(pieces: &[String], name: &str) -> bool {
    let (Some(first), Some(last)) = (pieces.first(), pieces.last()) else { return false };
    if pieces.len() == 1 {
        return name == first;
    }
    let Some(mut rest) = name.strip_prefix(first.as_str()).and_then(|rest| rest.strip_suffix(last.as_str()))
    else {
        return false;
    };
    for piece in &pieces[1..pieces.len() - 1] {
        match rest.split_once(piece.as_str()) {
            Some((_, behind)) => rest = behind,
            None => return false,
        }
    }
    true
}

fn tests_of_the_project() -> Tests {
    let mut tests = Tests::default();
    for folder in SOURCES {
        for file in files_in(&root().join(folder)) {
            let source = || fs::read_to_string(&file).unwrap();
            match file.extension().and_then(|extension| extension.to_str()) {
                Some("rs") => tests.add_rust(&source()),
                Some("mjs" | "js") => tests.add_javascript(&source()),
                _ => {}
            }
        }
    }
    tests
}

/// What is wrong with a document's tables, in sentences that name the line.
fn violations(document: &str, text: &str, tests: &Tests) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut column = None;
    for (line, number) in text.lines().zip(1..) {
        let Some(cells) = cells_of(line) else {
            column = None;
            continue;
        };
        let Some(column) = column else {
            column = cells.iter().position(|cell| *cell == COLUMN);
            continue;
        };
        let cell = cells.get(column).copied().unwrap_or_default();
        let names = in_backticks(cell);
        if names.is_empty() && !cell.starts_with(NO_TEST) && !cell.starts_with("--") {
            wrong.push(format!("{document}:{number}: names no test and doesn't say so"));
        }
        for name in names.into_iter().filter(|name| !tests.has(name)) {
            wrong.push(format!("{document}:{number}: there is no test `{name}`"));
        }
    }
    wrong
}

fn cells_of(line: &str) -> Option<Vec<&str>> {
    let inside = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    Some(inside.split('|').map(str::trim).collect())
}

fn in_backticks(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files_in(&path)) } else { found.push(path) }
    }
    found
}

fn read(document: &str) -> String {
    fs::read_to_string(root().join(document)).unwrap()
}

#[test]
fn every_test_that_a_document_names_exists() {
    let tests = tests_of_the_project();
    assert!(tests.functions.len() > 200 && tests.sentences.len() > 20, "the tests were not found");
    let wrong: Vec<String> =
        PROMISES.iter().flat_map(|document| violations(document, &read(document), &tests)).collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn each_of_the_fourteen_rules_has_its_row() {
    let text = read("ARCHITECTURE.md");
    let rows: Vec<&str> = text.lines().filter_map(|line| cells_of(line)?.first().copied()).collect();
    for rule in 1..=14 {
        assert!(rows.contains(&rule.to_string().as_str()), "rule {rule}");
    }
}

#[test]
fn every_file_that_a_document_names_exists() {
    let mut missing = Vec::new();
    for document in DOCUMENTS {
        let text = read(document);
        let here = Path::new(document).parent().unwrap();
        let links = text.split("](").skip(1).filter_map(|behind| behind.split([')', '#']).next());
        let links =
            links.filter(|link| !link.is_empty() && !link.contains("://")).map(|link| here.join(link));
        let code = in_backticks(&text).into_iter().filter(|path| {
            let is_path = FOLDERS.iter().any(|folder| path.starts_with(folder));
            is_path && !path.contains([' ', '*', '{', '\n'])
        });
        for path in links.chain(code.map(PathBuf::from)) {
            if !root().join(&path).exists() {
                missing.push(format!("{document}: {}", path.display()));
            }
        }
    }
    assert!(missing.is_empty(), "\n{}", missing.join("\n"));
}

#[test]
fn what_a_document_says_to_stand_in_a_file_stands_there() {
    let mut strangers = Vec::new();
    let mut found = 0;
    for document in DOCUMENTS {
        let text = read(document);
        let code: Vec<&str> = text.split('`').collect();
        for place in code.windows(3).filter(|place| place[1].trim() == "in") {
            let Some(path) =
                FOLDERS.iter().find_map(|folder| place[2].starts_with(folder).then_some(place[2]))
            else {
                continue;
            };
            let name = place[0].rsplit("::").next().unwrap().trim_end_matches("()");
            let file = root().join(path);
            found += 1;
            if !file.is_file() || !fs::read_to_string(file).unwrap().contains(name) {
                strangers.push(format!("{document}: `{}` in `{path}`", place[0]));
            }
        }
    }
    assert!(found > 20, "the places were not found");
    assert!(strangers.is_empty(), "\n{}", strangers.join("\n"));
}

#[test]
fn a_test_is_known_however_it_is_declared() {
    let mut tests = Tests::default();
    tests.add_rust(
        "#[test]\n#[should_panic]\nfn plain() {}\n#[tokio::test(flavor = \"x\")]\nasync fn slow() {}",
    );
    tests.add_rust("#[wasm_bindgen_test]\nasync fn in_a_browser() {}");
    tests.add_rust(
        "run! {\n    of_a_macro\n    and_this,\n}\npub async fn of_a_macro<S: Store>() {}\nfn and_this() {}",
    );
    tests.add_javascript("test(\"a sentence\", f);\ntest(\n  `${N} times ${point} is safe`, f);");
    for name in [
        "plain",
        "slow",
        "in_a_browser",
        "of_a_macro",
        "and_this",
        "a sentence",
        "20 times in mid-body is safe",
    ] {
        assert!(tests.has(name), "{name}");
    }
}

#[test]
fn what_is_no_test_is_not_taken_for_one() {
    let mut tests = Tests::default();
    tests.add_rust(
        "fn helper() {}\n// #[test]\n// fn commented_out() {}\n#[test]\nfn real() {}\nfn behind_it() {}",
    );
    tests.add_rust("macro_list! {\n    without_a_function\n}\n#[cfg(test)]\nfn only_compiled() {}");
    tests.add_javascript("test(`${N} times ${point} is safe`, f);\nlatest(\"no call of it\")");
    for name in [
        "helper",
        "commented_out",
        "behind_it",
        "without_a_function",
        "only_compiled",
        "20 times in mid-body",
        "20 TIMES in mid-body is safe",
        "no call of it",
        "",
    ] {
        assert!(!tests.has(name), "{name}");
    }
}

#[test]
fn a_row_that_names_no_test_or_a_strange_one_is_found() {
    let mut tests = Tests::default();
    tests.add_rust("#[test]\nfn known() {}");
    let table = |rows: &str| format!("| Promise | Test |\n| ------- | ---- |\n{rows}\n");
    let count = |text: &str| violations("d", text, &tests).len();
    assert_eq!(count(&table("| a | `known` |\n| b | none yet |")), 0);
    assert_eq!(count(&table("| a | `unknown` |")), 1);
    assert_eq!(count(&table("| a | `known` `unknown` |")), 1);
    assert_eq!(count(&table("| a | |")), 1);
    assert_eq!(count(&table("| a | known |")), 1);
    assert_eq!(count("| Part | Place |\n| --- | --- |\n| `x` | `y` |\n"), 0);
    let two = format!("{}\n| Part |\n| --- |\n| `x` |\n", table("| a | `known` |"));
    assert_eq!(count(&two), 0);
}
