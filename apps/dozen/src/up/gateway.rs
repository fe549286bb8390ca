//! The door.

use std::sync::Arc;

use dozen_core::Ids;
use dozen_gateway::{Gateway, RequestLog};

use super::gateway_options;
use super::registry::Resolve;
use crate::Error;
use crate::config::App;

/// Requests that are remembered for the console.
const REMEMBERED: usize = 10_000;

/// Binds the gateway of the file, if it has one, and the log of what goes through it.
pub(super) fn bind(
    app: &App,
    resolve: &Resolve,
    ids: &Ids,
) -> Result<(Option<Arc<Gateway>>, Arc<RequestLog>), Error> {
    let log = Arc::new(RequestLog::new(REMEMBERED));
    let Some(options) = gateway_options(app) else { return Ok((None, log)) };
    let bound = Gateway::new(options, resolve.clone(), ids.clone(), log.clone());
    Ok((Some(Arc::new(bound.map_err(Error::pattern("open the gateway"))?)), log))
}
