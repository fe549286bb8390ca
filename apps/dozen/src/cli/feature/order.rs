//! Orders: what somebody wants done, and why.

use std::time::Duration;

use dozen_strangler::{Feed, Hold, Order, Registry, Stage, State};

use super::super::look::{Look, known};
use super::named;
use crate::Error;

/// Who wants it, and why.
#[derive(Debug, clap::Args)]
pub(super) struct Ordering {
    /// The feature
    name: String,
    /// Why; it stands in the journal
    #[arg(long)]
    why: String,
    /// Who asks for it; you without it
    #[arg(long, env = "USER", hide_env_values = true)]
    by: Option<String>,
    /// Print the new state as JSON
    #[arg(long)]
    json: bool,
}

/// The same, to a stage.
#[derive(Debug, clap::Args)]
pub(super) struct To {
    /// The stage: off, shadow, compare, a share such as 5%, complete or retired
    #[arg(index = 2)]
    stage: Stage,
    #[command(flatten)]
    ordering: Ordering,
}

impl To {
    pub(super) async fn run(self, registry: &Registry) -> Result<String, Error> {
        self.ordering.run(registry, Order::To(self.stage)).await
    }
}

impl Ordering {
    pub(super) async fn run(self, registry: &Registry, order: Order) -> Result<String, Error> {
        let Self { name, why, json, .. } = &self;
        named(registry, name)?;
        let state = registry.order(name, order, &self.by(), why).await;
        let state = state.map_err(Error::pattern(format!("change feature `{name}`")))?;
        if *json {
            return Ok(format!("{:#}\n", serde_json::json!({ "feature": name, "state": state })));
        }
        Ok(format!("{name} is at {}{}\n", state.stage, held(&state)))
    }

    /// Has what was learnt of the old side's noise forgotten.
    pub(super) async fn forget(self, registry: &Registry) -> Result<String, Error> {
        let Self { name, why, json, .. } = &self;
        named(registry, name)?;
        let forgotten = registry.forget_noise(name, &self.by(), why).await;
        forgotten.map_err(Error::pattern(format!("forget the noise of feature `{name}`")))?;
        if *json {
            return Ok(format!("{:#}\n", serde_json::json!({ "feature": name, "forgotten": true })));
        }
        Ok(format!(
            "{name}: the noise of its old side is forgotten; answers count again once it is learnt anew\n"
        ))
    }

    fn by(&self) -> String {
        self.by.clone().filter(|by| !by.is_empty()).unwrap_or_else(system_user)
    }
}

/// The user of this process, as the system calls them.
fn system_user() -> String {
    let id = rustix::process::getuid().as_raw().to_string();
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let mut lines = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let own = lines.find(|fields| fields.get(2) == Some(&id.as_str()));
    own.and_then(|fields| Some((*fields.first()?).to_owned())).unwrap_or(format!("user {id}"))
}

/// Which write, and what became of it.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("outcome").required(true))]
pub(super) struct Settle {
    /// The feature
    name: String,
    /// The write's id, as `show` names it
    id: String,
    /// It has happened: the other side is fed
    #[arg(long, group = "outcome")]
    took: bool,
    /// It has not happened: it is forgotten, and may be sent again
    #[arg(long, group = "outcome")]
    void: bool,
}

impl Settle {
    pub(super) async fn run(self, look: &Look, registry: &Registry) -> Result<String, Error> {
        let Self { name, id, took, void: _ } = self;
        named(registry, &name)?;
        let failed = || Error::pattern(format!("settle a write of feature `{name}`"));
        let feed = Feed::new(&look.store, &name);
        let open = feed.unsettled(Duration::ZERO).await.map_err(failed())?;
        let ids: Vec<&str> = open.iter().map(|write| write.id.as_str()).collect();
        known("unsettled write", &id, &ids)?;
        if let Some(write) = open.iter().find(|write| write.id == id) {
            feed.end(write, took).await.map_err(failed())?;
        }
        Ok(match took {
            true => format!("{id} has happened; the other side is fed\n"),
            false => format!("{id} has not happened; it may be sent again\n"),
        })
    }
}

/// What keeps it there.
pub(super) fn held(state: &State) -> &'static str {
    match state.hold {
        None => "",
        Some(Hold::Frozen) => ", frozen: it does not go on by itself",
        Some(Hold::Pinned) => ", pinned: it neither goes on nor back by itself",
        Some(Hold::Killed) => ", switched off: everything goes to the old side",
    }
}
