//! Orders: what somebody wants done, and why.

use dozen_strangler::{Hold, Order, Registry, Stage, State};

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
    #[arg(long, env = "USER", default_value = "unknown", hide_env_values = true)]
    by: String,
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
        let Self { name, why, by, json } = self;
        named(registry, &name)?;
        let state = registry.order(&name, order, &by, &why).await;
        let state = state.map_err(Error::pattern(format!("change feature `{name}`")))?;
        if json {
            return Ok(format!("{:#}\n", serde_json::json!({ "feature": name, "state": state })));
        }
        Ok(format!("{name} is at {}{}\n", state.stage, held(&state)))
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
