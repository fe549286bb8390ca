//! sqlx.

use dozen_store::{Error, OutboxRow, OwnTransaction};

macro_rules! wrapper {
    ($feature:literal, $name:ident, $connection:ty, $sql:ident, $doc:literal) => {
        #[doc = $doc]
        #[cfg(feature = $feature)]
        pub struct $name<'c>(pub &'c mut $connection);

        #[cfg(feature = $feature)]
        impl OwnTransaction for $name<'_> {
            async fn insert(&mut self, row: &OutboxRow) -> Result<(), Error> {
                let OutboxRow { id, aggregatetype, aggregateid, kind, payload, headers } = row;
                let insert = ::sqlx::query(crate::$sql)
                    .bind(id)
                    .bind(aggregatetype)
                    .bind(aggregateid)
                    .bind(kind)
                    .bind(&payload[..])
                    .bind(headers)
                    .execute(&mut *self.0);
                insert.await.map(drop).map_err(|error| crate::failed(crate::$sql, &error))
            }
        }
    };
}

wrapper!(
    "sqlx-sqlite",
    SqlxSqlite,
    ::sqlx::SqliteConnection,
    SQLITE,
    "A transaction of sqlx on SQLite: `SqlxSqlite(&mut *tx)`."
);
wrapper!(
    "sqlx-postgres",
    SqlxPostgres,
    ::sqlx::PgConnection,
    POSTGRES,
    "A transaction of sqlx on PostgreSQL: `SqlxPostgres(&mut *tx)`."
);
