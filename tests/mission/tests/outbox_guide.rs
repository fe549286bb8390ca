//! What docs/outbox.md shows, as it stands there.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use dozen_core::{Ids, Message, SystemClock, Timestamp};
use dozen_messaging::TopicSettings;
use dozen_mission::{Place, Running, until};
use dozen_outbox::{Destination, Outbox, Relay, RelayOptions, Replay, Routes};
use dozen_pubsub::Topics;
use dozen_store::Store;

type Tried = Result<(), Box<dyn std::error::Error>>;

/// The examples of the guide in this language.
fn examples(language: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/outbox.md");
    let guide = std::fs::read_to_string(path).expect("the guide");
    let begin = format!("```{language}\n");
    let blocks = guide.split(&begin).skip(1);
    blocks.map(|block| block.split("```").next().expect("a block ends").to_owned()).collect()
}

async fn orders(place: &Place) -> Result<Store, Box<dyn std::error::Error>> {
    let store = place.open().await;
    Topics::open(&store).declare_topic("orders", &TopicSettings::default()).await?;
    Ok(store)
}

async fn heard(store: &Store, count: usize) -> Result<Vec<Message>, Box<dyn std::error::Error>> {
    let read = async || store.journal().read(&Topics::stream("orders"), 0, 100).await.expect("read");
    until(store, "topic/orders", async || read().await.len() >= count).await;
    Ok(read().await.into_iter().map(|entry| Message::try_from(entry.record)).collect::<Result<_, _>>()?)
}

#[tokio::test]
async fn the_guides_program_in_python_publishes_with_its_own_rows() -> Tried {
    let place = Place::new();
    let store = orders(&place).await?;
    let Some(path) = place.address().strip_prefix("sqlite:").map(str::to_owned) else {
        return Ok(()); // the example for PostgreSQL is below
    };
    let program = examples("python").remove(0);
    assert!(program.contains(r#""shop.db""#), "the guide opens the file by its name");
    let ran = Command::new("python3").arg("-c").arg(program.replace("shop.db", &path)).output()?;
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let messages = heard(&store, 1).await?;
    assert_eq!((messages[0].kind.as_str(), messages[0].key()), ("order.placed", Some("apple")));
    assert_eq!(messages[0].subject.as_deref(), Some("o-17"));
    assert_eq!(store.select("select * from orders", []).await?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn the_guides_statement_publishes_on_postgres() -> Tried {
    let server = dozen_harness::Postgres::start(&[])?;
    let database = server.fresh_database()?;
    let store = dozen_open::open(&server.url(&database)).await?;
    Topics::open(&store).declare_topic("orders", &TopicSettings::default()).await?;
    server.psql(&database, &examples("sql").remove(0))?;
    let messages = heard(&store, 1).await?;
    assert_eq!((messages[0].kind.as_str(), messages[0].key()), ("order.placed", Some("apple")));
    Ok(())
}

#[tokio::test]
async fn the_guides_relay_and_replay_work_as_they_stand() -> Tried {
    let (here, there) = (Place::new(), Place::new());
    let (store, elsewhere) = (orders(&here).await?, orders(&there).await?);
    let ids = Ids::new(Arc::new(SystemClock), 1);
    let outbox = Outbox::new(&store, "/orders", ids.clone());
    let event = outbox.event("order.placed", r#"{"order":17}"#);
    store.transaction(async |tx| outbox.publish(tx, "orders", event).await).await?;

    let target = Arc::new(Topics::open(&elsewhere));
    let routes = Routes::only([("orders", "orders")]);
    let relay = Relay::new("elsewhere", &store, routes, target.clone(), RelayOptions::default(), ids);
    let running = Running::start(relay);
    assert_eq!(heard(&elsewhere, 1).await?[0].data, r#"{"order":17}"#);
    running.stop().await;

    let replay = Replay {
        to: Destination::Publisher(target, "orders".into()),
        since: Timestamp::parse("2026-01-01T00:00:00Z"),
        kind: Some("order.placed".into()),
        ..Replay::new("orders", "ada@example.org", "the mailer lost its disk")
    };
    let replayed = outbox.replay(&replay).await?;
    for entry in outbox.audit(100).await? {
        println!("{} {} {:?}: {} sent, {}", entry.at, entry.by, entry.step, entry.sent, entry.reason);
    }
    assert_eq!(replayed.matched, 1);
    assert_eq!(heard(&elsewhere, 2).await?.len(), 2);
    Ok(())
}
