//! What all pages share.

use std::sync::Arc;

use dozen_core::Timestamp;
use dozen_lifecycle::Stop;
use dozen_store::Journal;

use crate::live::Live;
use crate::{Error, Sources};

/// The console's state, one for the process.
pub(crate) struct Console {
    pub(crate) sources: Sources,
    pub(crate) journal: Journal,
    pub(crate) live: Live,
    /// What every form of this process carries.
    pub(crate) token: String,
    /// Ends the pages that follow.
    pub(crate) stop: Stop,
}

/// How handlers get at it.
pub(crate) type Shared = axum::extract::State<Arc<Console>>;

impl Console {
    pub(crate) fn new(sources: Sources, stop: Stop) -> Result<Self, Error> {
        let journal = sources.store.journal();
        Ok(Self { live: Live::new(journal.clone()), journal, sources, token: random()?, stop })
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.sources.store.clock().now()
    }
}

/// 128 bits that nobody can guess, as text. Not from `Ids`, whose numbers follow from a seed.
pub(crate) fn random() -> Result<String, Error> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).map_err(Error::Random)?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}
