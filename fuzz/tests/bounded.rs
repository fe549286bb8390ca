//! Every target, on its corpus and on mutations of it that a seed repeats.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on stops where it is")]

use std::panic::catch_unwind;
use std::path::Path;

use dozen::config::{Surroundings, parse};
use dozen_fuzz::{Mutator, TARGETS, Target};

/// Mutations of each target; `DOZEN_FUZZ` makes it another number.
const MUTATIONS: usize = 1500;

fn corpus(target: &Target) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name);
    let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} is empty", folder.display());
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

fn check(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).unwrap();
    let number = |name: &str| std::env::var(name).ok().and_then(|number| number.parse().ok());
    let (mutations, seed) = (number("DOZEN_FUZZ").unwrap_or(MUTATIONS), number("DOZEN_SEED").unwrap_or(1));
    let corpus = corpus(target);
    let mut mutator = Mutator::new(seed as u64);
    let mutated = (0..mutations).map(|_| mutator.next(&corpus, target.words));
    for input in corpus.iter().cloned().chain(mutated) {
        let broken = catch_unwind(|| (target.run)(&input)).is_err();
        assert!(!broken, "`{name}` breaks a promise for {:?}", input.escape_ascii().to_string());
    }
}

/// A target that refuses all of its corpus shows nothing of what it takes.
#[test]
fn the_files_of_the_corpus_are_right_but_for_those_that_are_meant_to_be_wrong() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/file");
    let around = Surroundings { env: &|_| None, folder: &folder, reads: &|_| () };
    for name in ["gateway", "moving", "shop", "translators"] {
        let bytes = std::fs::read(folder.join(name)).unwrap();
        let read = parse(name, &bytes, &around);
        assert!(read.is_ok(), "{}", read.err().unwrap());
    }
}

macro_rules! bounded {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            check(stringify!($name));
        })*

        #[test]
        fn no_target_is_left_out() {
            assert_eq!([$(stringify!($name)),*].as_slice(), TARGETS.iter().map(|target| target.name).collect::<Vec<_>>());
        }
    };
}

bounded! { request response chunked path cel mapping json xml csv soap fixed form message schema file }
