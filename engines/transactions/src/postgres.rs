//! tokio-postgres.

use dozen_store::{Error, OutboxRow, OwnTransaction};
use tokio_postgres::GenericClient;
use tokio_postgres::types::{ToSql, Type};

/// A transaction of tokio-postgres, or a client inside or outside of one: `TokioPostgres(&tx)`.
///
/// The statement is not a named one, so a pooler in transaction mode may stand in between.
pub struct TokioPostgres<'c, C>(pub &'c C);

impl<C: GenericClient + Sync> OwnTransaction for TokioPostgres<'_, C> {
    async fn insert(&mut self, row: &OutboxRow) -> Result<(), Error> {
        let OutboxRow { id, aggregatetype, aggregateid, kind, payload, headers } = row;
        let payload = &payload[..];
        let parameters: [(&(dyn ToSql + Sync), Type); 6] = [
            (id, Type::TEXT),
            (aggregatetype, Type::TEXT),
            (aggregateid, Type::TEXT),
            (kind, Type::TEXT),
            (&payload, Type::BYTEA),
            (headers, Type::TEXT),
        ];
        let inserted = self.0.query_typed(crate::POSTGRES, &parameters).await;
        inserted.map(drop).map_err(|error| crate::failed(crate::POSTGRES, &error))
    }
}
