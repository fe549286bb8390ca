//! Writes invoices: workers that share a queue. The invoice and the acknowledgement are one transaction.

use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use dozen_messaging::{Delivery, Effect, EffectError, Verdict};
use dozen_queue::Queue;
use dozen_store::{Tx, params};
use http::StatusCode;
use serde_json::{Value, json};
use shop_service::{BoxError, Shop, exit, refused, run};

/// Invoices that one process writes at the same time.
const RUNNING_MAX: usize = 4;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    exit(start().await)
}

async fn start() -> Result<(), BoxError> {
    let shop = Shop::open().await?;
    // No unique key on the order: were an invoice ever written twice, it would show.
    shop.table("invoices (number integer primary key, \"order\" text not null, written_by integer not null)")
        .await?;
    let queue = Queue::open(&shop.store, "invoices", shop.ids.clone()).await?;
    let worker = queue.consume(WriteInvoice, RUNNING_MAX);
    let router = Router::new().route("/invoices/{order}", get(show)).with_state(shop);
    run(router, vec![("invoices", Arc::new(worker))]).await
}

struct WriteInvoice;

#[async_trait]
impl Effect for WriteInvoice {
    async fn apply(&self, tx: &mut Tx, delivery: &Delivery) -> Result<(), EffectError> {
        let order: Value = serde_json::from_slice(&delivery.message.data).unwrap_or_default();
        let Some(id) = order["id"].as_str() else {
            return Err(EffectError(Verdict::Poison("it names no order".into())));
        };
        let process = i64::from(std::process::id());
        tx.execute("insert into invoices (\"order\", written_by) values (?1, ?2)", params![id, process])
            .await?;
        Ok(())
    }
}

async fn show(State(shop): State<Shop>, Path(order): Path<String>) -> Response {
    let query = "select number from invoices where \"order\" = ?1";
    match shop.store.select(query, params![&order]).await {
        Ok(rows) => {
            let numbers: Vec<_> = rows.iter().filter_map(|row| row.integer(0).ok()).collect();
            let status = if numbers.is_empty() { StatusCode::NOT_FOUND } else { StatusCode::OK };
            shop_service::json(status, &json!({ "order": order, "invoices": numbers }))
        }
        Err(error) => refused(&error),
    }
}
