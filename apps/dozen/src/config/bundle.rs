//! A document in files: what it refers to in others is read, and put into it.
//!
//! `$ref: "order.yaml#/Order"` becomes `$ref: "#/x-files/1/Order"`, with the file `order.yaml` beside the one that names
//! it as the member `1` of `x-files`; and so on from there. Only files are read, by relative paths. What refers to an
//! address stays as it is, and is refused by whoever compiles the document.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value as Json};

use super::{data, yaml};

/// The longest document in a file of its own.
const BYTES_MAX: u64 = 1 << 20;
/// Files that one document is made of.
const FILES_MAX: usize = 64;
/// Where the others are put.
const FILES: &str = "x-files";

/// Reads the document at `path`, with all that it refers to; `reads` hears of each file.
pub(crate) fn read(path: &Path, reads: &dyn Fn(&Path)) -> Result<Json, String> {
    let mut bundle = Bundle { paths: vec![path.to_owned()], read: Vec::new() };
    // The list grows while it is worked off.
    while let Some(path) = bundle.paths.get(bundle.read.len()).cloned() {
        let at = bundle.read.len();
        let told = |why: String| if at == 0 { why } else { format!("{}: {why}", path.display()) };
        reads(&path);
        let mut document = one(&path).map_err(told)?;
        bundle.point(&mut document, at, &path)?;
        bundle.read.push(document);
    }
    let mut read = bundle.read.into_iter();
    let mut whole = read.next().unwrap_or_default();
    let files: Map<String, Json> = read.enumerate().map(|(at, one)| ((at + 1).to_string(), one)).collect();
    if let (Json::Object(object), false) = (&mut whole, files.is_empty()) {
        object.insert(FILES.to_owned(), files.into());
    }
    Ok(whole)
}

struct Bundle {
    paths: Vec<PathBuf>,
    read: Vec<Json>,
}

impl Bundle {
    /// Points references of the document at `path`, which is the one of this number, into the whole.
    fn point(&mut self, value: &mut Json, at: usize, path: &Path) -> Result<(), String> {
        match value {
            Json::Array(list) => list.iter_mut().try_for_each(|one| self.point(one, at, path)),
            Json::Object(object) => {
                if at > 0 {
                    // A part of another document is found by its place in that.
                    object.remove("$id");
                    object.remove("$schema");
                }
                for (name, inner) in object.iter_mut() {
                    match inner {
                        Json::String(reference) if name == "$ref" => {
                            *reference = self.pointed(reference, at, path)?;
                        }
                        inner => self.point(inner, at, path)?,
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn pointed(&mut self, reference: &str, at: usize, path: &Path) -> Result<String, String> {
        let (file, pointer) = reference.split_once('#').unwrap_or((reference, ""));
        let is_address = file.split('/').next().is_some_and(|first| first.contains(':'));
        let number = if file.is_empty() {
            at
        } else if is_address || file.starts_with('/') {
            return Ok(reference.to_owned());
        } else {
            let other = normal(&path.parent().unwrap_or(Path::new("")).join(file));
            let known = self.paths.iter().position(|known| normal(known) == other);
            known.unwrap_or_else(|| {
                self.paths.push(other);
                self.paths.len() - 1
            })
        };
        if self.paths.len() > FILES_MAX {
            return Err(format!("it is made of more than {FILES_MAX} files"));
        }
        Ok(match number {
            0 => format!("#{pointer}"),
            number => format!("#/{FILES}/{number}{pointer}"),
        })
    }
}

/// The path without steps aside and up that can be left out.
fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir
                if matches!(out.components().next_back(), Some(std::path::Component::Normal(_))) =>
            {
                out.pop();
            }
            part => out.push(part),
        }
    }
    out
}

/// One file: YAML if its name says so, JSON otherwise.
fn one(path: &Path) -> Result<Json, String> {
    use std::io::Read as _;
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    file.take(BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(format!("it is larger than {} KiB", BYTES_MAX / 1024));
    }
    let is_yaml = path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml");
    if !is_yaml {
        return serde_json::from_slice(&bytes).map_err(|error| format!("it is not JSON: {error}"));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| "it is not UTF-8".to_owned())?;
    let mut mistakes = Vec::new();
    let node = yaml::parse(text, &mut mistakes);
    match (node, mistakes.into_iter().next()) {
        (Ok(node), None) => Ok(data::plain(node)),
        (Err(mistake), _) | (Ok(_), Some(mistake)) => {
            Err(format!("{}, on line {}", mistake.wrong, mistake.span.line))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_other_files_becomes_a_part_of_the_document() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        std::fs::create_dir(folder.path().join("parts")).unwrap();
        write(
            "api.yaml",
            "a: { $ref: 'parts/b.json#/B' }\nb: { $ref: '#/a' }\nc: { $ref: 'http://x.example/y' }\n",
        );
        write(
            "parts/b.json",
            r##"{"$id": "x", "B": {"$ref": "#/C"}, "C": {"$ref": "../api.yaml#/b"}, "D": {"$ref": "c.yml"}}"##,
        );
        write("parts/c.yml", "type: string\n");
        let reads = std::cell::RefCell::new(Vec::new());
        let read = read(&folder.path().join("api.yaml"), &|path| reads.borrow_mut().push(path.to_owned()));
        let read = read.unwrap();
        let told: Vec<String> =
            reads.take().iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
        assert_eq!(told, ["api.yaml", "b.json", "c.yml"]);
        assert_eq!(read["a"]["$ref"], "#/x-files/1/B");
        assert_eq!((&read["b"]["$ref"], &read["c"]["$ref"]), (&"#/a".into(), &"http://x.example/y".into()));
        let other = &read["x-files"]["1"];
        assert_eq!((&other["B"]["$ref"], &other["C"]["$ref"]), (&"#/x-files/1/C".into(), &"#/b".into()));
        assert_eq!((&other["D"]["$ref"], &other["$id"]), (&"#/x-files/2".into(), &Json::Null));
        assert_eq!(read["x-files"]["2"]["type"], "string");
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("a.json", r#"{"$ref": "gone.json"}"#);
        write("b.yaml", "a: [\n");
        let told = |name: &str| read(&folder.path().join(name), &|_| ()).unwrap_err();
        assert!(told("a.json").contains("gone.json: "));
        assert!(told("b.yaml").contains("on line"));
    }
}
