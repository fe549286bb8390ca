//! What cannot be said together of one rule.

use super::field::Said;
use super::rule::Count;
use crate::mapping::OnError;
use crate::value::Object;

impl Said {
    /// Two things that contradict each other, in a sentence.
    pub(super) fn contradiction(&self, object: &Object, each: bool) -> Option<String> {
        let sources: Vec<&str> = ["from", "each", "value", "template", "jq"]
            .into_iter()
            .filter(|key| object.get(key).is_some())
            .collect();
        match sources.as_slice() {
            [] if self.map.is_none() => {
                return Some("it says nothing of where its value is from: `from`, `each`, `map`, `value`, `template` or `jq`".into());
            }
            [first, second, ..] => return Some(format!("`{first}` and `{second}` are two sources")),
            _ => {}
        }
        let forms =
            [("as", self.convert.is_some()), ("enum", self.list.is_some()), ("map", self.map.is_some())];
        let mut forms = forms.iter().filter(|(_, said)| *said).map(|(key, _)| *key);
        let (first, second) = (forms.next(), forms.next());
        if let (Some(first), Some(second)) = (first, second) {
            return Some(format!("`{first}` and `{second}` are two ways to make its value"));
        }
        if let (Some(form), true) = (first, self.paths.is_empty())
            && (form != "map" || !sources.is_empty())
        {
            return Some(format!("`{form}` goes with `from` or `each`"));
        }
        if self.paths.is_empty() && object.get("count").is_some() {
            return Some("`count` goes with `from` or `each`".into());
        }
        if self.required
            && (self.default.is_some() || self.on_error.is_some_and(|on_error| on_error != OnError::Fail))
        {
            return Some(
                "`required: true` fails the translation, so neither `default` nor `on-error` can stand in"
                    .into(),
            );
        }
        if self.required && self.count == Count::Optional {
            return Some("`required: true` and `count: optional` contradict each other".into());
        }
        if self.count == Count::Many && self.default.is_some() && self.on_error != Some(OnError::Default) {
            return Some("where there is nothing, a list is empty, so `default` would never be used".into());
        }
        if each && !self.count.is_list() {
            return Some("`each` gives a list, so its `count` is `many`".into());
        }
        if self.value.is_some()
            && self.when.is_none()
            && (self.default.is_some() || self.on_error.is_some() || self.required)
        {
            return Some("a constant cannot fail; leave `default`, `on-error` and `required` out".into());
        }
        None
    }
}
