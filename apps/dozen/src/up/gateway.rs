//! The door.

use std::sync::Arc;

use dozen_core::Ids;
use dozen_dataplane::Sockets;
use dozen_gateway::{Calling, Gateway, Keeper, RequestLog};
use dozen_store::Store;

use super::features::Facade;
use super::gateway_options;
use super::traces::Traces;
use crate::Error;
use crate::config::App;

/// Requests that are remembered for the console.
const REMEMBERED: usize = 10_000;

/// The gateway, and what stands beside it.
pub(super) struct Bound {
    /// The gateway of the file, if it has one.
    pub(super) gateway: Option<Arc<Gateway>>,
    /// Fetches keys and shares limits, in the store of the application.
    pub(super) keeper: Arc<Keeper>,
    /// What goes through the gateway.
    pub(super) log: Arc<RequestLog>,
}

/// Binds the gateway of the file.
pub(super) fn bind(
    app: &App,
    calling: &Arc<Calling>,
    (store, ids): (&Store, &Ids),
    features: &Arc<Facade>,
    traces: &Arc<Traces>,
    sockets: &Sockets,
) -> Result<Bound, Error> {
    let log = Arc::new(RequestLog::new(REMEMBERED));
    let keeper = Keeper::with_sockets(Some(store.clone()), ids.clone(), sockets.clone());
    keeper.ask_features(features.now());
    keeper.record_traces(traces.clone());
    let bind = |options| Gateway::beside(keeper.clone(), options, calling.clone(), ids.clone(), log.clone());
    let gateway = gateway_options(app).map(bind).transpose();
    let gateway = gateway.map_err(Error::pattern("open the gateway"))?.map(Arc::new);
    Ok(Bound { gateway, keeper, log })
}
