//! What is refused, and in which words.

use syn::parse_quote;

use crate::expand::message;

fn refused(input: syn::DeriveInput) -> String {
    message(&input).expect_err("it must not be accepted").to_string()
}

#[test]
fn a_name_is_required_and_has_few_characters() {
    assert!(
        refused(parse_quote!(
            struct Reserve;
        ))
        .contains("needs a name")
    );
    assert!(
        refused(parse_quote!(
            #[message(name = "")]
            struct Reserve;
        ))
        .contains("not empty")
    );
    assert!(
        refused(parse_quote!(
            #[message(name = "stock reserve")]
            struct Reserve;
        ))
        .contains("no ' '")
    );
    assert!(
        refused(parse_quote!(
            #[message(name = "Stock")]
            struct Reserve;
        ))
        .contains("no 'S'")
    );
    let long = "a".repeat(201);
    assert!(
        refused(parse_quote!(
            #[message(name = #long)]
            struct Reserve;
        ))
        .contains("at most 200")
    );
}

#[test]
fn a_version_is_a_number_from_one() {
    let zero = parse_quote!(
        #[message(name = "a", version = 0)]
        struct A;
    );
    assert!(refused(zero).contains("begin at 1"));
    let much = parse_quote!(
        #[message(name = "a", version = 4294967296)]
        struct A;
    );
    assert!(refused(much).contains("whole number"));
}

#[test]
fn an_unknown_or_repeated_option_is_named() {
    let unknown = parse_quote!(
        #[message(nme = "a")]
        struct A;
    );
    assert!(refused(unknown).contains("there are `name`"));
    let twice = parse_quote!(
        #[message(name = "a", name = "b")]
        struct A;
    );
    assert!(refused(twice).contains("twice"));
}

#[test]
fn the_key_is_a_field_that_is_there() {
    let misspelt = parse_quote!(
        #[message(name = "a", key = ordr)]
        struct A {
            order: u32,
            at: u64,
        }
    );
    let text = refused(misspelt);
    assert!(text.contains("no field `ordr`") && text.contains("`order`, `at`"), "{text}");
    let choice = parse_quote!(
        #[message(name = "a", key = x)]
        enum A {
            B,
            C,
        }
    );
    assert!(refused(choice).contains("only a struct"));
    let tuple = parse_quote!(
        #[message(name = "a", key = x)]
        struct A(u32);
    );
    assert!(refused(tuple).contains("named fields"));
}

#[test]
fn a_type_with_parameters_is_refused() {
    let generic = parse_quote!(
        #[message(name = "a")]
        struct A<T> {
            value: T,
        }
    );
    assert!(refused(generic).contains("no parameters"));
}

#[test]
fn what_is_made_reads_older_versions_only_where_there_is_a_from() {
    let plain = message(&parse_quote!(
        #[message(name = "a")]
        struct A;
    ))
    .unwrap()
    .to_string();
    assert!(!plain.contains("From") && !plain.contains("fn key"), "{plain}");
    let chained = message(&parse_quote!(
        #[message(name = "a", version = 2, from = old::A)]
        struct A;
    ));
    assert!(chained.unwrap().to_string().contains("From < old :: A >"));
}
