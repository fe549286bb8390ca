//! Writes invoices: workers that share a queue. The invoice and the acknowledgement are one transaction.

use std::process::ExitCode;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use dozen_messaging::Context;
use dozen_queue::Queue;
use dozen_store::params;
use http::StatusCode;
use serde_json::json;
use shop_service::{BoxError, Invoice, Shop, exit, refused, run};

/// Invoices that one process writes at the same time.
const RUNNING_MAX: usize = 4;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    exit(start().await)
}

async fn start() -> Result<(), BoxError> {
    let shop = Shop::open().await?;
    // No unique key on the order: were an invoice ever written twice, it would show.
    shop.table("invoices (number text primary key, \"order\" text not null, written_by integer not null)")
        .await?;
    let queue = Queue::open(&shop.store, "invoices", shop.ids.clone()).await?;
    let worker = queue.handle(shop.clone(), write, RUNNING_MAX);
    let router = Router::new().route("/invoices/{order}", get(show)).with_state(shop);
    run(router, vec![("invoices", Arc::new(worker))]).await
}

/// Writes an invoice. Its row and the acknowledgement of the work are one commit.
async fn write(context: Context<'_, Shop>, invoice: Invoice) -> Result<(), dozen_store::Error> {
    let (number, process) = (context.state.ids.next().to_string(), i64::from(std::process::id()));
    let insert = "insert into invoices (number, \"order\", written_by) values (?1, ?2, ?3)";
    context.tx.execute(insert, params![number, invoice.id, process]).await?;
    Ok(())
}

async fn show(State(shop): State<Shop>, Path(order): Path<String>) -> Response {
    let query = "select number from invoices where \"order\" = ?1";
    match shop.store.select(query, params![&order]).await {
        Ok(rows) => {
            let numbers: Vec<_> = rows.iter().filter_map(|row| row.text(0).ok().map(str::to_owned)).collect();
            let status = if numbers.is_empty() { StatusCode::NOT_FOUND } else { StatusCode::OK };
            shop_service::json(status, &json!({ "order": order, "invoices": numbers }))
        }
        Err(error) => refused(&error),
    }
}
