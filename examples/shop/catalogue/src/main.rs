//! Knows the articles. It takes the place of the catalogue of before, and says what the translator `article` says of that one.

use std::collections::BTreeMap;
use std::process::ExitCode;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use dozen_store::{Error, params};
use http::StatusCode;
use serde_json::json;
use shop_service::{BoxError, Shop, exit, refused, run};

/// What was carried over from the catalogue of before: article, name, price in euros, pieces, day of its listing.
const CARRIED_OVER: [(&str, &str, &str, i64, &str); 3] = [
    ("lamp", "Lampe \"Größe M\"", "1049.50", 250, "2024-01-31"),
    ("chair", "Café-Stuhl", "89.00", 250, "2019-11-03"),
    ("table", "Tisch Übergröße", "412.90", 0, "1999-12-24"),
];

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    exit(start().await)
}

async fn start() -> Result<(), BoxError> {
    let shop = Shop::open().await?;
    shop.table(
        "articles (sku text primary key, name text not null, amount text not null, quantity integer not null, since text not null)",
    )
    .await?;
    let carry_over = shop.store.transaction(async |tx| {
        for (sku, name, amount, quantity, since) in CARRIED_OVER {
            let insert = "insert into articles values (?1, ?2, ?3, ?4, ?5) on conflict (sku) do nothing";
            tx.execute(insert, params![sku, name, amount, quantity, since]).await?;
        }
        Ok::<_, Error>(())
    });
    carry_over.await?;
    let router =
        Router::new().route("/articles", get(show)).route("/prices/{sku}", put(price)).with_state(shop);
    run(router, Vec::new()).await
}

async fn show(State(shop): State<Shop>, Query(asked): Query<BTreeMap<String, String>>) -> Response {
    let sku = asked.get("sku").map_or("", String::as_str);
    let select = "select name, amount, quantity, since from articles where sku = ?1";
    let rows = match shop.store.select(select, params![sku]).await {
        Ok(rows) => rows,
        Err(error) => return refused(&error),
    };
    let Some(row) = rows.first() else { return unknown() };
    let read = || {
        let (name, amount, quantity, since) = (row.text(0)?, row.text(1)?, row.integer(2)?, row.text(3)?);
        let price = json!({ "amount": amount, "currency": "EUR" });
        Ok::<_, Error>(json!({
            "sku": sku, "name": name, "price": price, "available": quantity > 0, "quantity": quantity, "since": since,
        }))
    };
    match read() {
        Ok(article) => shop_service::json(StatusCode::OK, &article),
        Err(error) => refused(&error),
    }
}

/// In the words of the translator: whoever asks cannot tell who answers.
fn unknown() -> Response {
    let (kind, title) = ("urn:dozen:problem:article-unknown", "There is no such article");
    let problem = json!({ "type": kind, "title": title, "status": 404 });
    let headers = [("content-type", "application/problem+json")];
    (StatusCode::NOT_FOUND, headers, problem.to_string()).into_response()
}

async fn price(State(shop): State<Shop>, Path(sku): Path<String>, amount: String) -> Response {
    let change = "update articles set amount = ?2 where sku = ?1";
    let changed = shop.store.transaction(async |tx| tx.execute(change, params![&sku, &amount]).await).await;
    match changed {
        Ok(_) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => refused(&error),
    }
}
