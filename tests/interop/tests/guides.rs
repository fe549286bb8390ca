//! The guides, followed to the letter: what a page shows is typed in, and must answer as the page says.
//!
//! Of a page in `docs/`, in order: the first `yaml` block is the file, and `dozen up` runs it; a block whose first line is
//! a comment with a file name is written there; a `console` block is typed in, each line after `$ ` as a command and the
//! lines below it as what it must print. `…` on the page stands for anything, a line of it for any lines. Ports are other
//! ones than on the page, so that guides can be followed at the same time.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use dozen_faults::{Place, program};
use dozen_harness::free_port;

/// A fenced block: its language and its text.
struct Block {
    language: String,
    text: String,
    line: usize,
}

fn blocks(page: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut open: Option<Block> = None;
    for (number, line) in page.lines().enumerate() {
        match (line.strip_prefix("```"), open.as_mut()) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(language), None) => {
                open = Some(Block { language: language.into(), text: String::new(), line: number + 2 });
            }
            (None, Some(block)) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    blocks
}

/// Gives each port of a page another one that is free: the same one wherever it stands.
fn elsewhere(page: &str) -> String {
    let mut ports: BTreeMap<String, u16> = BTreeMap::new();
    let mut parts = page.split("127.0.0.1:");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.len() - part.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
        let port = ports.entry(part[..digits].to_owned()).or_insert_with(free_port);
        text.push_str(&format!("127.0.0.1:{port}{}", &part[digits..]));
    }
    text
}

/// Whether `text` is what `pattern` says, in which `…` stands for anything within a line.
fn line_matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.trim_end().split('…');
    let Some(mut rest) = parts.next().and_then(|first| text.trim_end().strip_prefix(first)) else {
        return false;
    };
    let mut parts = parts.peekable();
    let open_end = parts.peek().is_some();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    !open_end && rest.is_empty()
}

fn lines_match(patterns: &[&str], lines: &[&str]) -> bool {
    match patterns.split_first() {
        None => lines.is_empty(),
        Some((&"…", others)) => (0..=lines.len()).any(|skip| lines_match(others, &lines[skip..])),
        Some((first, others)) => lines
            .split_first()
            .is_some_and(|(line, rest)| line_matches(first, line) && lines_match(others, rest)),
    }
}

/// Types in a `console` block.
fn type_in(place: &Place, path: &str, page: &str, block: &Block) {
    let mut steps: Vec<(usize, String, Vec<&str>)> = Vec::new();
    for (number, line) in block.text.lines().enumerate() {
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (Some(command), _) => steps.push((block.line + number, command.to_owned(), Vec::new())),
            // A command that goes on in the next line.
            (None, Some((_, command, printed))) if printed.is_empty() && command.ends_with('\\') => {
                command.push('\n');
                command.push_str(line);
            }
            (None, Some((_, _, printed))) => printed.push(line),
            (None, None) => panic!("{page}:{}: a console block begins with `$ `", block.line),
        }
    }
    for (line, text, printed) in steps {
        let mut command = Command::new("sh");
        place.mark(command.args(["-c", &text]).env("PATH", path));
        let output = command.output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        let also = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<&str> = told.lines().collect();
        assert!(
            lines_match(&printed, &lines),
            "{page}:{line}: `{text}` is shown to print\n{}\nand printed\n{told}{also}",
            printed.join("\n")
        );
    }
}

fn follow(page: &str) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(page);
    let text = elsewhere(&fs::read_to_string(source).unwrap());
    let blocks = blocks(&text);
    let file = blocks.iter().find(|block| block.language == "yaml").unwrap();
    let place = Place::new(&file.text);
    for block in &blocks {
        let name = block
            .text
            .lines()
            .next()
            .and_then(|line| line.trim_start_matches(['#', '/', '-']).split_whitespace().next());
        if let Some(name) =
            name.filter(|name| name.contains('.') && !block.text.starts_with('$') && !name.contains('/'))
        {
            fs::write(place.file(name), &block.text).unwrap();
        }
    }
    let up = place.up().ready();
    let folder = program("dozen").parent().unwrap().display().to_string();
    let path = format!("{folder}:{}", std::env::var("PATH").unwrap());
    let typed = blocks.iter().filter(|block| block.language == "console");
    assert!(
        typed.map(|block| type_in(&place, &path, page, block)).count() > 0,
        "{page} shows nothing to type in"
    );
    up.stop();
}

#[test]
fn the_guide_to_queues_does_what_it_says() {
    follow("queue.md");
}

#[test]
fn the_guide_to_calling_services_does_what_it_says() {
    follow("gateway-services.md");
}

#[test]
fn a_line_of_a_page_stands_for_what_it_leaves_open() {
    for (pattern, text, matches) in [
        ("id …", "id 7", true),
        ("{\"id\":\"…\",\"n\":1}", "{\"id\":\"x\",\"n\":1}", true),
        ("a … c … e", "a b c d e", true),
        ("a … c", "a b d", false),
        ("same", "same  ", true),
        ("same", "same more", false),
    ] {
        assert_eq!(line_matches(pattern, text), matches, "{pattern}");
    }
    assert!(lines_match(&["a", "…", "z"], &["a", "b", "c", "z"]));
    assert!(!lines_match(&["a", "…", "z"], &["a", "b"]));
}
