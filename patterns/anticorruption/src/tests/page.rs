//! What the page shows is what works.

use std::path::Path;

use super::world::{call, compile};
use super::yaml;

fn block<'p>(page: &'p str, language: &str) -> &'p str {
    let (_, after) = page.split_once(&format!("```{language}\n")).unwrap();
    after.split_once("```").unwrap().0
}

#[tokio::test]
async fn the_translator_of_the_page_compiles_and_its_example_holds() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/anticorruption.md");
    let page = std::fs::read_to_string(path).unwrap();
    let mut options = yaml::read(block(&page, "yaml"));
    let example = [("stock", block(&page, "json"))];
    let translators = compile(options.clone(), &example, None).unwrap_or_else(|error| panic!("{error}"));
    let report = translators.get("stock").unwrap().run_examples().await;
    assert!(report.holds() && report.cases.len() == 1, "{report}");
    options["providers"]["warehouse"]["mock"] = true.into();
    let translators = compile(options, &example, None).unwrap();
    assert_eq!(call(&translators, "stock", r#"{"sku":"A7"}"#).await, r#"{"quantity":3,"sku":"A7"}"#);
}
