//! What docs/anticorruption.md shows, typed in.

use std::path::Path;
use std::process::Command;

use dozen_faults::{Place, program};

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/anticorruption.md");
    std::fs::read_to_string(path).expect("the page")
}

fn blocks(page: &str, language: &str) -> Vec<String> {
    let begin = format!("```{language}\n");
    page.split(&begin)
        .skip(1)
        .map(|block| block.split("```").next().expect("a block ends").to_owned())
        .collect()
}

/// What a shell in the place says, with `dozen` on its path.
fn typed(place: &Place, line: &str) -> String {
    let folder = program("dozen").parent().expect("a folder").display().to_string();
    let path = format!("{folder}:{}", std::env::var("PATH").unwrap_or_default());
    let mut shell = Command::new("sh");
    place.mark(shell.args(["-c", line]).env("PATH", path));
    let output = shell.output().expect("a shell");
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

#[test]
fn ac_d1_the_pages_files_are_correct_and_its_commands_say_what_it_shows() {
    let page = page();
    let files = blocks(&page, "yaml");
    assert!(files.len() > 3, "the page is not read as it should be");
    let place = Place::new(&files[0]);
    std::fs::write(place.file("stock.json"), &blocks(&page, "json")[0]).expect("a file");
    for block in blocks(&page, "console") {
        for command in block.split("$ ").skip(1) {
            let (line, wanted) = command.split_once('\n').expect("a command ends with its line");
            assert_eq!(typed(&place, line), wanted, "$ {line}");
        }
    }
    for (number, file) in files.iter().enumerate() {
        std::fs::write(place.file("dozen.yaml"), file).expect("a file");
        let said = typed(&place, "dozen check");
        assert!(said.contains("is correct"), "file {number} of the page: {said}");
    }
}
