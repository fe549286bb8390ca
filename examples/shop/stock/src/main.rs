//! Keeps stock. Orders are pushed to it; each takes from the stock once, however often it is delivered.

use std::process::ExitCode;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use dozen_core::Message;
use dozen_outbox::Inbox;
use dozen_store::{Error, params};
use http::StatusCode;
use serde_json::{Value, json};
use shop_service::{BoxError, Shop, exit, refused, run};

/// What there is of an article that nobody has ordered yet.
const FIRST_STOCK: i64 = 100_000;

#[derive(Clone)]
struct Stock {
    shop: Shop,
    inbox: Inbox,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    exit(start().await)
}

async fn start() -> Result<(), BoxError> {
    let shop = Shop::open().await?;
    shop.table("stock (sku text primary key, available integer not null)").await?;
    let inbox = Inbox::new(&shop.store, "stock", Duration::from_secs(7 * 24 * 3600));
    let router = Router::new()
        .route("/on-order", post(take))
        .route("/stock/{sku}", get(show))
        .with_state(Stock { shop, inbox });
    run(router, Vec::new()).await
}

async fn take(State(stock): State<Stock>, body: Bytes) -> Response {
    let Ok(event) = Message::from_json(&body) else {
        return shop_service::json(StatusCode::BAD_REQUEST, &json!({ "error": "this is no CloudEvent" }));
    };
    let order: Value = serde_json::from_slice(&event.data).unwrap_or_default();
    let (Some(sku), Some(quantity)) = (order["sku"].as_str(), order["quantity"].as_i64()) else {
        return shop_service::json(StatusCode::BAD_REQUEST, &json!({ "error": "this is no order" }));
    };
    let taken = stock.shop.store.transaction(async |tx| {
        // Seen before: the stock is already less by this order, and all that is missing is the acknowledgement.
        if stock.inbox.first(tx, &event).await? {
            tx.execute(
                "insert into stock values (?1, ?2)
                 on conflict (sku) do update set available = stock.available - ?3",
                params![sku, FIRST_STOCK - quantity, quantity],
            )
            .await?;
        }
        Ok::<_, Error>(())
    });
    match taken.await {
        Ok(_) => shop_service::json(StatusCode::OK, &json!({ "taken": quantity })),
        Err(error) => refused(&error),
    }
}

async fn show(State(stock): State<Stock>, Path(sku): Path<String>) -> Response {
    let rows = stock.shop.store.select("select available from stock where sku = ?1", params![&sku]).await;
    match rows {
        Ok(rows) => {
            let available = rows.first().and_then(|row| row.integer(0).ok()).unwrap_or(FIRST_STOCK);
            shop_service::json(StatusCode::OK, &json!({ "sku": sku, "available": available }))
        }
        Err(error) => refused(&error),
    }
}
