//! `name(argument, key: argument)`, as `as:` has it.

/// A call taken apart. An argument is a word or stands in quotes.
pub(super) struct Call {
    pub(super) name: String,
    /// The arguments, with the key that some have.
    pub(super) arguments: Vec<(Option<String>, String)>,
}

impl Call {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let Some((name, inside)) = text.split_once('(') else {
            return Ok(Self { name: text.to_owned(), arguments: Vec::new() });
        };
        let mut rest = inside.trim_end().strip_suffix(')').ok_or("a `)` is missing at the end")?.trim();
        let mut arguments = Vec::new();
        while !rest.is_empty() {
            let (first, after, quoted) = word(rest)?;
            let (argument, after) = match after.trim_start().strip_prefix(':') {
                Some(value) if !quoted => {
                    let (value, after, _) = word(value.trim_start())?;
                    ((Some(first), value), after)
                }
                _ => ((None, first), after),
            };
            arguments.push(argument);
            rest = match after.trim_start() {
                "" => "",
                after => after.strip_prefix(',').ok_or("a `,` is missing between arguments")?.trim_start(),
            };
        }
        Ok(Self { name: name.trim().to_owned(), arguments })
    }
}

/// A word or a quoted text, what follows it, and whether it was quoted.
fn word(text: &str) -> Result<(String, &str, bool), String> {
    if let Some(quote) = text.chars().next().filter(|sign| matches!(sign, '"' | '\'')) {
        let (inside, after) =
            text[1..].split_once(quote).ok_or_else(|| format!("a {quote} is not closed"))?;
        return Ok((inside.to_owned(), after, true));
    }
    let end = text.find([',', ':', ')']).unwrap_or(text.len());
    match text[..end].trim() {
        "" => Err("an argument is missing; a `,` or `:` that is one stands in quotes".into()),
        word => Ok((word.to_owned(), &text[end..], false)),
    }
}
