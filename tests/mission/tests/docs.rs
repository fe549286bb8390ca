//! The documents keep up with the code: every error's page exists, every page belongs to an error, every link leads
//! somewhere, and every test that a table names is there.
//!
//! Sources are read as text. That is enough for what is looked for, and finds it in crates that this one cannot name.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Where errors are defined, and where tests are.
const SOURCES: [&str; 8] =
    ["apps", "bench", "engines", "foundation", "patterns", "testkit", "tests", "examples"];
/// The sections of an error's page.
const SECTIONS: [&str; 3] = ["## What happened", "## Usual causes", "## What to do"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The files below `folder` with this ending, without what builds leave behind.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() && !path.ends_with("target") && !path.ends_with("node_modules") {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn sources() -> Vec<(PathBuf, String)> {
    let all = SOURCES.iter().flat_map(|folder| files(&root().join(folder), "rs"));
    all.map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

/// The text from the first brace of `text` to the one that closes it.
fn block(text: &str) -> &str {
    let mut depth = 0;
    for (at, letter) in text.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 1 => return &text[..at],
            '}' => depth -= 1,
            _ => {}
        }
    }
    text
}

/// What stands between quotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('"').skip(1).step_by(2)
}

/// The pages that the code names: in `fn page(&self)`, and as the page of a problem document.
fn named() -> BTreeMap<String, PathBuf> {
    let mut pages = BTreeMap::new();
    for (path, text) in sources().into_iter().filter(|(path, _)| path.to_string_lossy().contains("/src/")) {
        for (at, declaration) in text.match_indices("fn page(&self)") {
            let rest = &text[at + declaration.len()..];
            // The trait's own line ends without a body.
            if rest.find(['{', ';']).is_some_and(|at| rest[at..].starts_with('{')) {
                pages.extend(quoted(block(rest)).map(|page| (page.to_owned(), path.clone())));
            }
        }
        for (at, field) in text.match_indices("page: \"") {
            let page = text[at + field.len()..].split('"').next().unwrap();
            pages.insert(page.to_owned(), path.clone());
        }
    }
    pages
}

#[test]
fn every_error_has_its_page_and_every_page_its_error() {
    let named = named();
    assert!(named.len() > 20, "the sources are not read as they should be: {named:?}");
    let folder = root().join("docs/errors");
    let written: BTreeSet<String> = files(&folder, "md")
        .iter()
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    for (page, source) in &named {
        assert!(
            written.contains(page),
            "{} names docs/errors/{page}.md, which is not there",
            source.display()
        );
    }
    for page in &written {
        assert!(named.contains_key(page), "no error names docs/errors/{page}.md");
    }
}

#[test]
fn every_page_of_an_error_says_what_happened_why_and_what_to_do() {
    for path in files(&root().join("docs/errors"), "md") {
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("# "), "{} has no title", path.display());
        for section in SECTIONS {
            let body = text.split_once(section).map(|(_, rest)| rest.split("\n## ").next().unwrap().trim());
            assert!(
                body.is_some_and(|body| !body.is_empty()),
                "{}: `{section}` says nothing",
                path.display()
            );
        }
    }
}

#[test]
fn every_link_between_documents_leads_somewhere() {
    let root = root();
    let mut documents = files(&root.join("docs"), "md");
    documents.extend(["README.md", "ARCHITECTURE.md", "CHANGELOG.md"].map(|name| root.join(name)));
    for document in documents.iter().filter(|path| path.exists()) {
        let text = fs::read_to_string(document).unwrap();
        for (at, _) in text.match_indices("](") {
            let link = text[at + 2..].split([')', '#']).next().unwrap();
            let elsewhere = link.is_empty() || link.contains("://") || link.starts_with("mailto:");
            let target = document.parent().unwrap().join(link);
            assert!(elsewhere || target.exists(), "{} links to `{link}`", document.display());
        }
    }
}

#[test]
fn every_test_that_the_table_of_patterns_names_exists() {
    let table = fs::read_to_string(root().join("docs/patterns.md")).unwrap();
    let tests: BTreeSet<String> = sources()
        .iter()
        .flat_map(|(_, text)| text.split("fn ").skip(1).filter_map(|rest| rest.split('(').next()))
        .map(str::to_owned)
        .collect();
    let is_name = |word: &&str| word.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric());
    let mut found = 0;
    // Between backticks, with enough words to be the name of a test and not of a key or a type.
    for word in
        table.split('`').skip(1).step_by(2).filter(is_name).filter(|word| word.matches('_').count() > 2)
    {
        assert!(tests.contains(word), "docs/patterns.md names the test `{word}`, which is not there");
        found += 1;
    }
    assert!(found > 20, "the table is not read as it should be");
}

/// The lines of an example without their indentation, in the pieces between its `…`.
fn pieces(example: &str) -> Vec<Vec<String>> {
    let lines: Vec<String> = example.lines().map(|line| line.trim().to_owned()).collect();
    let pieces = lines.split(|line| matches!(line.as_str(), "// …" | "…")).map(<[String]>::to_vec);
    pieces.filter(|piece| piece.iter().any(|line| !line.is_empty())).collect()
}

#[test]
fn every_rust_example_stands_in_a_source_that_is_compiled() {
    let stripped = |text: &str| -> Vec<String> { text.lines().map(|line| line.trim().to_owned()).collect() };
    let sources: Vec<Vec<String>> = sources().iter().map(|(_, text)| stripped(text)).collect();
    let mut documents = files(&root().join("docs"), "md");
    documents.push(root().join("README.md"));
    for document in documents {
        let text = fs::read_to_string(&document).unwrap();
        for example in text.split("```rust\n").skip(1).map(|rest| rest.split("```").next().unwrap()) {
            for piece in pieces(example) {
                let stands =
                    sources.iter().any(|source| source.windows(piece.len()).any(|lines| lines == piece));
                assert!(stands, "{} shows what no source has:\n{}", document.display(), piece.join("\n"));
            }
        }
    }
}
