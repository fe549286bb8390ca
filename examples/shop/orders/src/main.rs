//! Takes orders. The row, the event and the work item are one transaction: all of them, or none.

use std::process::ExitCode;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use dozen_outbox::Outbox;
use dozen_queue::Queue;
use dozen_store::params;
use serde_json::{Value, json};
use shop_service::{BoxError, Invoice, Shop, exit, refused, run, trace};

#[derive(Clone)]
struct Orders {
    shop: Shop,
    outbox: Outbox,
    invoices: Queue,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    exit(start().await)
}

async fn start() -> Result<(), BoxError> {
    let shop = Shop::open().await?;
    shop.table("orders (id text primary key, sku text not null, quantity integer not null)").await?;
    let outbox = Outbox::new(&shop.store, "/orders", shop.ids.clone());
    let invoices = Queue::open(&shop.store, "invoices", shop.ids.clone()).await?;
    let router = Router::new()
        .route("/orders", post(place))
        .route("/orders/{id}", get(show))
        .with_state(Orders { shop, outbox, invoices });
    run(router, Vec::new()).await
}

async fn place(State(orders): State<Orders>, headers: http::HeaderMap, body: Bytes) -> Response {
    let Some((sku, quantity)) = parse(&body) else {
        let error = r#"an order is {"sku": "a name", "quantity": 1 to 1000}"#;
        return shop_service::json(http::StatusCode::BAD_REQUEST, &json!({ "error": error }));
    };
    let id = orders.shop.ids.next().to_string();
    let order = json!({ "id": id, "sku": sku, "quantity": quantity });
    // The key keeps what concerns one article in order; the trace ties everything to this request.
    let mut event = orders.outbox.event("order.placed", order.to_string()).with_key(&sku);
    let wanted = Invoice { id: id.clone(), sku: sku.clone(), quantity };
    let mut invoice = match orders.invoices.message_of(&wanted) {
        Ok(invoice) => invoice,
        Err(error) => return refused(&error),
    };
    if let Some(trace) = trace(&headers) {
        event = event.with_trace(trace.child(&orders.shop.ids));
        invoice = invoice.with_trace(trace.child(&orders.shop.ids));
    }
    let event_id = event.id.clone();
    let placed = orders.shop.store.transaction(async |tx| {
        tx.execute("insert into orders values (?1, ?2, ?3)", params![&id, &sku, quantity]).await?;
        orders.outbox.publish(tx, "orders", event).await?;
        orders.invoices.send_in(tx, invoice)
    });
    match placed.await {
        Ok(written) => {
            let answer = json!({ "id": id, "event": event_id, "token": written.token.to_string() });
            shop_service::json(http::StatusCode::CREATED, &answer)
        }
        Err(error) => refused(&error),
    }
}

fn parse(body: &[u8]) -> Option<(String, i64)> {
    let order: Value = serde_json::from_slice(body).ok()?;
    let sku = order.get("sku")?.as_str().filter(|sku| (1..=100).contains(&sku.len()))?;
    let quantity = order.get("quantity")?.as_i64().filter(|quantity| (1..=1000).contains(quantity))?;
    Some((sku.to_owned(), quantity))
}

async fn show(State(orders): State<Orders>, Path(id): Path<String>) -> Response {
    let rows = orders.shop.store.select("select sku, quantity from orders where id = ?1", params![&id]).await;
    match rows.as_deref() {
        Ok([row]) => {
            let order = json!({ "id": id, "sku": row.text(0).ok(), "quantity": row.integer(1).ok() });
            shop_service::json(http::StatusCode::OK, &order)
        }
        Ok(_) => {
            shop_service::json(http::StatusCode::NOT_FOUND, &json!({ "error": "there is no such order" }))
        }
        Err(error) => refused(error),
    }
}
