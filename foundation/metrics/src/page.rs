//! One answer: families of samples, written as Prometheus reads them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The media type of a page.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Series of one family; what comes beyond is left out and counted in `dozen_series_left_out`.
pub const SERIES_MAX: usize = 10_000;

/// Families under way. The order in which they are written does not matter: they come out by name.
#[derive(Debug, Default)]
pub struct Page {
    families: BTreeMap<&'static str, Samples>,
    left_out: u64,
}

#[derive(Debug)]
struct Samples {
    kind: &'static str,
    help: &'static str,
    /// By their labels as text, so that no series is there twice.
    series: BTreeMap<String, Sample>,
}

#[derive(Debug)]
enum Sample {
    One(f64),
    /// Upper bounds, each with how many lie between it and the one before.
    Spread {
        buckets: Vec<(f64, u64)>,
        sum: f64,
    },
}

/// Samples of one name that are spreads.
pub struct Histogram<'a>(Family<'a>);

impl Histogram<'_> {
    /// Adds one series. Each bucket is an upper bound, the last of them infinite, and how many lie between it and the
    /// one before; `sum` is that of all that was measured.
    pub fn sample(&mut self, labels: &[(&str, &str)], buckets: &[(f64, u64)], sum: f64) -> &mut Self {
        debug_assert!(buckets.is_sorted_by(|one, next| one.0 < next.0), "buckets come in their order");
        debug_assert!(buckets.last().is_some_and(|last| last.0.is_infinite()), "the last bucket takes all");
        self.0.put(labels_of(labels), Sample::Spread { buckets: buckets.to_vec(), sum });
        self
    }
}

/// Samples of one name.
pub struct Family<'a> {
    samples: &'a mut Samples,
    left_out: &'a mut u64,
}

impl Page {
    /// A number that goes up and down. `name` ends with its unit, where it has one: `…_seconds`, `…_messages`.
    pub fn gauge(&mut self, name: &'static str, help: &'static str) -> Family<'_> {
        self.family(name, "gauge", help)
    }

    /// A number that only grows while the process lives. `name` ends with `_total`.
    pub fn counter(&mut self, name: &'static str, help: &'static str) -> Family<'_> {
        debug_assert!(name.ends_with("_total"), "{name} counts, and is not called so");
        self.family(name, "counter", help)
    }

    /// How often a measure was how large. `name` ends with its unit.
    pub fn histogram(&mut self, name: &'static str, help: &'static str) -> Histogram<'_> {
        Histogram(self.family(name, "histogram", help))
    }

    fn family(&mut self, name: &'static str, kind: &'static str, help: &'static str) -> Family<'_> {
        debug_assert!(is_name(name), "{name} cannot name a metric");
        let samples =
            self.families.entry(name).or_insert_with(|| Samples { kind, help, series: BTreeMap::new() });
        debug_assert!(samples.kind == kind && samples.help == help, "{name} is described in two ways");
        Family { samples, left_out: &mut self.left_out }
    }

    /// Takes over what `other` has.
    pub(crate) fn absorb(&mut self, other: Self) {
        for (name, samples) in other.families {
            let mut family = self.family(name, samples.kind, samples.help);
            samples.series.into_iter().for_each(|(labels, value)| family.put(labels, value));
        }
        self.left_out += other.left_out;
    }

    /// The page as text.
    pub fn render(mut self) -> String {
        let left_out = self.left_out as f64;
        self.gauge("dozen_series_left_out", "Series that were left out because their family has too many.")
            .sample(&[], left_out);
        let mut text = String::new();
        for (name, samples) in &self.families {
            let help = samples.help.replace('\\', "\\\\").replace('\n', "\\n");
            // Writing to a string cannot fail.
            let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {}\n", samples.kind);
            for (labels, value) in &samples.series {
                match value {
                    Sample::One(value) => {
                        let _ = writeln!(text, "{name}{labels} {}", number(*value));
                    }
                    Sample::Spread { buckets, sum } => spread(name, labels, buckets, *sum, &mut text),
                }
            }
        }
        text
    }
}

impl Family<'_> {
    /// Adds one series. Labels of the same names and values again replace its value.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: f64) -> &mut Self {
        self.put(labels_of(labels), Sample::One(value));
        self
    }

    fn put(&mut self, labels: String, value: Sample) {
        if self.samples.series.len() >= SERIES_MAX && !self.samples.series.contains_key(&labels) {
            *self.left_out += 1;
            return;
        }
        self.samples.series.insert(labels, value);
    }
}

fn labels_of(labels: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (at, (name, value)) in labels.iter().enumerate() {
        debug_assert!(is_name(name) && !name.contains(':'), "{name} cannot name a label");
        text.push(if at == 0 { '{' } else { ',' });
        let _ = write!(text, "{name}=\"{}\"", escaped(value));
    }
    if !text.is_empty() {
        text.push('}');
    }
    text
}

/// The lines of one histogram: each bucket has all that is no larger than its bound.
fn spread(name: &str, labels: &str, buckets: &[(f64, u64)], sum: f64, text: &mut String) {
    let open = labels.strip_suffix('}').map_or_else(|| "{".to_owned(), |labels| format!("{labels},"));
    let mut count = 0;
    for (bound, within) in buckets {
        count += within;
        let _ = writeln!(text, "{name}_bucket{open}le=\"{}\"}} {count}", number(*bound));
    }
    let _ = writeln!(text, "{name}_sum{labels} {}\n{name}_count{labels} {count}", number(sum));
}

fn is_name(name: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':');
    name.starts_with(|c: char| word(c) && !c.is_ascii_digit()) && name.chars().all(word)
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Whole numbers without a fraction, as people read them.
fn number(value: f64) -> String {
    match value {
        value if value.is_nan() => "NaN".into(),
        value if value.is_infinite() => if value > 0.0 { "+Inf" } else { "-Inf" }.into(),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_stands_once_with_its_head_and_no_series_twice() {
        let mut page = Page::default();
        page.gauge("b_seconds", "How long.").sample(&[("queue", "x")], 1.5);
        page.counter("a_total", "How many.").sample(&[], 3.0);
        page.gauge("b_seconds", "How long.").sample(&[("queue", "y")], 2.0).sample(&[("queue", "x")], 4.0);
        assert_eq!(
            page.render(),
            "# HELP a_total How many.\n# TYPE a_total counter\na_total 3\n\
             # HELP b_seconds How long.\n# TYPE b_seconds gauge\nb_seconds{queue=\"x\"} 4\nb_seconds{queue=\"y\"} 2\n\
             # HELP dozen_series_left_out Series that were left out because their family has too many.\n\
             # TYPE dozen_series_left_out gauge\ndozen_series_left_out 0\n"
        );
    }

    #[test]
    fn whatever_stands_in_a_label_stays_on_its_line() {
        let mut page = Page::default();
        page.gauge("g", "A \\ and\na line.").sample(&[("name", "a\"b\\c\nd"), ("other", "é")], f64::INFINITY);
        let text = page.render();
        assert!(text.contains("# HELP g A \\\\ and\\na line.\n"), "{text}");
        assert!(text.contains("g{name=\"a\\\"b\\\\c\\nd\",other=\"é\"} +Inf\n"), "{text}");
    }

    #[test]
    fn a_histogram_counts_up_to_its_last_bucket() {
        let mut page = Page::default();
        let buckets = [(0.5, 2), (1.0, 0), (f64::INFINITY, 1)];
        page.histogram("h_seconds", "How long.").sample(&[("route", "a")], &buckets, 7.5).sample(
            &[],
            &buckets,
            0.0,
        );
        let text = page.render();
        assert!(
            text.contains(
                "# TYPE h_seconds histogram\n\
                 h_seconds_bucket{le=\"0.5\"} 2\nh_seconds_bucket{le=\"1\"} 2\nh_seconds_bucket{le=\"+Inf\"} 3\n\
                 h_seconds_sum 0\nh_seconds_count 3\n\
                 h_seconds_bucket{route=\"a\",le=\"0.5\"} 2\nh_seconds_bucket{route=\"a\",le=\"1\"} 2\n\
                 h_seconds_bucket{route=\"a\",le=\"+Inf\"} 3\n\
                 h_seconds_sum{route=\"a\"} 7.5\nh_seconds_count{route=\"a\"} 3\n"
            ),
            "{text}"
        );
    }

    #[test]
    fn a_family_is_bounded_and_says_what_it_left_out() {
        let mut page = Page::default();
        let mut family = page.gauge("g", "Many.");
        for at in 0..SERIES_MAX + 7 {
            family.sample(&[("at", &at.to_string())], 0.0);
        }
        assert!(page.render().contains("dozen_series_left_out 7\n"));
    }
}
