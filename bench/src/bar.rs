//! Figures, and how they are shown.

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::Failure;

/// One measured figure beside its target.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    /// Its name, from the suite down.
    pub(crate) name: String,
    /// What was measured.
    pub(crate) measured: f64,
    /// The unit; for a ratio `x(peer)`.
    pub(crate) unit: String,
    /// At least this, or at most.
    pub(crate) target: Target,
    /// The absolutes behind it and what they were measured with, for the table.
    pub(crate) note: String,
}

/// Which side of a number is good.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    AtLeast(f64),
    AtMost(f64),
    /// Told, and not judged.
    None,
}

/// What a measurement gives.
pub(crate) struct Measured {
    pub(crate) figures: Vec<Figure>,
    /// What stands below the figures in `docs/benchmarks.md`, if anything.
    pub(crate) tables: String,
}

impl Measured {
    /// Figures alone.
    pub(crate) fn of(figures: Vec<Figure>) -> Self {
        Self { figures, tables: String::new() }
    }
}

impl Figure {
    /// The number alone; which side of it is good.
    fn target(&self) -> Option<(&'static str, String)> {
        let unit = self.unit.split('(').next().unwrap_or("");
        match self.target {
            Target::AtLeast(target) => Some((">=", format!("{target:.2}{unit}"))),
            Target::AtMost(target) => Some(("<=", format!("{target:.2}{unit}"))),
            Target::None => None,
        }
    }

    fn verdict(&self) -> &'static str {
        let is_met = match self.target {
            Target::AtLeast(target) => self.measured >= target,
            Target::AtMost(target) => self.measured <= target,
            Target::None => return "",
        };
        if is_met { "ok" } else { "short" }
    }
}

/// What a suite has measured.
pub(crate) struct Suite {
    name: String,
    rounds: usize,
    figures: Vec<Figure>,
    tables: String,
}

impl Suite {
    pub(crate) fn new(name: &str, rounds: usize) -> Self {
        Self { name: name.to_owned(), rounds, figures: Vec::new(), tables: String::new() }
    }

    /// One line for a person and for a script.
    pub(crate) fn print(&mut self, figure: Figure) {
        let Figure { name, measured, unit, .. } = &figure;
        match figure.target() {
            None => println!("figure {name} measured={measured:.2}{unit}"),
            Some((_, target)) => {
                println!("bar {name} measured={measured:.2}{unit} target={target} {}", figure.verdict());
            }
        }
        self.figures.push(figure);
    }

    /// More for the table of the suite.
    pub(crate) fn add_tables(&mut self, tables: &str) {
        if !tables.is_empty() {
            self.tables += &format!("\n{tables}");
        }
    }

    /// Puts this suite's table into `docs/benchmarks.md`, in the place of its last one.
    pub(crate) fn write(&self) -> Result<(), Failure> {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/benchmarks.md");
        let (start, end) = (format!("<!-- {} -->\n", self.name), format!("<!-- end of {} -->\n", self.name));
        let old = std::fs::read_to_string(&path).unwrap_or_else(|_| HEADING.to_owned());
        let table = format!("{start}{}{end}", self.table()?);
        let new = match (old.find(&start), old.find(&end)) {
            (Some(from), Some(to)) if from < to => old[..from].to_owned() + &table + &old[to + end.len()..],
            _ => old + "\n" + &table,
        };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(path, new)?;
        Ok(())
    }

    fn table(&self) -> Result<String, Failure> {
        let mut text = format!("## {}\n\n{}, {} alternating rounds.\n\n", self.name, machine(), self.rounds);
        text.push_str("| figure | measured | target | | how |\n|---|---|---|---|---|\n");
        for figure in &self.figures {
            let Figure { name, measured, unit, note, .. } = figure;
            let target = figure.target().map_or("–".to_owned(), |(side, target)| format!("{side}{target}"));
            writeln!(text, "| {name} | {measured:.2}{unit} | {target} | {} | {note} |", figure.verdict())?;
        }
        Ok(text + &self.tables)
    }
}

const HEADING: &str = "\
# Benchmarks

Measured by `cargo xtask bench SUITE`, side by side with real peers in one run. A figure is the median of the ratios within each
round: machines are noisy, ratios less so. `short` means that the target was missed in this run.

Peers are those of Debian's packages. Redis: `appendonly yes`, `appendfsync always`, no rewriting, on loopback. nginx: one worker,
keep-alive to the upstream, access log off, buffers large enough for the answers. HAProxy and Envoy likewise; Envoy is PyPI's. Ours: SQLite with
`synchronous=FULL`, and the gateway with its request log, each with one worker where a core is compared.
";

/// The machine, in a line.
fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("");
    let model = model.trim_start_matches([' ', '\t', ':']);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = read("/proc/sys/kernel/osrelease");
    format!("{cores} cores ({model}), Linux {}", kernel.trim().split('-').next().unwrap_or(""))
}

/// The middle of some numbers; the mean of the middle two if there is no one.
pub(crate) fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    match numbers.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => numbers[count / 2],
        count => (numbers[count / 2 - 1] + numbers[count / 2]) / 2.0,
    }
}
