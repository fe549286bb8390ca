//! Who may press a button, and what it does.

use std::time::Duration;

use axum::body::Body;
use dozen_messaging::{Settlement, Subscriber as _, SubscriptionOptions};
use dozen_queue::{Queue, Sending};
use http::{Request, StatusCode};
use serde_json::Value;

use crate::world::{OWN, World, get, message, post};

#[tokio::test]
async fn foreign_names_are_refused() {
    let world = World::new();
    for (host, expected) in [
        ("evil.test", StatusCode::MISDIRECTED_REQUEST),
        ("console.test", StatusCode::OK),
        ("localhost:4000", StatusCode::OK),
    ] {
        let request = Request::get("/api/queue").header("host", host).body(Body::empty()).unwrap();
        let (status, headers, _) = world.ask(request).await;
        assert_eq!(status, expected, "{host}");
        assert_eq!(headers["x-content-type-options"], "nosniff");
    }
}

#[tokio::test]
async fn only_own_pages_act() {
    let world = World::new();
    world.dead_letter().await;
    world.subscription("orders").await;
    let (_, page) = world.get("/queue/work").await;
    let token = page.split("name=\"token\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    for (path, act) in [
        ("/queue/work/dead-letters", "act=redrive+all"),
        ("/queue/work/dead-letters/1", "act=redrive&type=t&data=x"),
        ("/queue/work/rest", "act=pause"),
        ("/topic/orders/mail/dead-letters", "act=discard+all"),
        ("/topic/orders/mail/dead-letters/3", "act=edit&type=t&data=x"),
        ("/topic/orders/mail/rest", "act=pause"),
        ("/topic/orders/mail/move", "place=earliest"),
        ("/outbox/replay", "topic=orders&by=x&reason=x"),
    ] {
        let good = format!("token={token}&{act}");
        for (request, expected) in [
            (post(path, "cross-site", OWN, good.clone()), StatusCode::FORBIDDEN),
            (post(path, "same-origin", "http://evil.test", good.clone()), StatusCode::FORBIDDEN),
            (post(path, "same-origin", OWN, format!("token=x&{act}")), StatusCode::FORBIDDEN),
            (post(path, "same-origin", OWN, act.to_owned()), StatusCode::BAD_REQUEST),
            (post(path, "same-origin", OWN, String::new()), StatusCode::BAD_REQUEST),
        ] {
            let (status, _, body) = world.ask(request).await;
            assert_eq!(status, expected, "{path}: {body}");
        }
    }
    for nonsense in ["act=explode+all", "act=redrive", "act=redrive+selected", "act=redrive+x"] {
        let request =
            post("/queue/work/dead-letters", "same-origin", OWN, format!("token={token}&{nonsense}"));
        assert_eq!(world.ask(request).await.0, StatusCode::BAD_REQUEST, "{nonsense}");
    }
    assert_eq!(world.parked().await, 1);
    let topic = world.twin("/api/topic/orders").await;
    let status = &topic["topic"]["readers"][0]["status"];
    assert_eq!((&status["parked"], &status["paused"]), (&Value::from(1), &Value::from(false)));
    assert_eq!(topic["topic"]["published"], 2);
}

#[tokio::test]
async fn q_m7_dead_letters_are_redriven_selected_or_all_corrected_and_discarded() {
    let world = World::new();
    world.dead_letter().await;
    let to = world.press("/queue/work", "/queue/work/dead-letters", "act=redrive+all").await;
    assert_eq!(to, "/queue/work?done=redrive&count=1");
    assert_eq!(world.parked().await, 0);
    let (_, page) = world.get(&to).await;
    assert!(page.contains("1 dead letter was sent round again."));
    let (status, _) = world.get("/queue/work?done=nonsense").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);

    let world = World::new();
    world.dead_letter().await;
    let twin = world.twin("/api/queue/work").await;
    let position = twin["dead_letters"][0]["position"].as_u64().unwrap();
    let path = format!("/queue/work/dead-letters/{position}");
    let (_, page) = world.get(&path).await;
    assert!(page.contains("{&quot;total&quot;:&quot;&lt;/pre&gt;&quot;}"), "{page}");
    let (_, headers, _) = world.ask(get(&path).body(Body::empty()).unwrap()).await;
    assert!(headers["content-security-policy"].to_str().unwrap().contains("form-action 'self'"));
    // What is no JSON is refused where it says that it is.
    let token = page.split("name=\"token\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let bad = format!("token={token}&act=edit&type=t&content-type=application/json&data=oops");
    let (status, _, body) = world.ask(post(&path, "same-origin", OWN, bad)).await;
    assert!(status == StatusCode::BAD_REQUEST && body.contains("not JSON"), "{body}");
    let form = "act=edit&type=better&content-type=application%2Fjson&data=%7B%22total%22%3A7%7D";
    assert_eq!(world.press(&path, &path, form).await, "/queue/work?done=edit&count=1");
    let twin = world.twin("/api/queue/work").await;
    let letter = &twin["dead_letters"][0];
    assert_eq!((&letter["kind"], &letter["edited"]), (&"better".into(), &true.into()), "{twin}");
    let selected = format!("act=discard+selected&position={position}&position=999");
    assert_eq!(
        world.press("/queue/work", "/queue/work/dead-letters", &selected).await,
        "/queue/work?done=discard&count=1"
    );
    assert_eq!(world.parked().await, 0);
    assert_eq!(world.get(&path).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_queue_with_priorities_is_one_line_and_is_paused_by_a_button() {
    let world = World::new();
    let ids = dozen_core::Ids::new(world.clock.clone(), 1);
    let options = dozen_queue::Options { priorities: 3, ..dozen_queue::Options::default() };
    Queue::declare(&world.store, "work", &options).await.unwrap();
    let queue = Queue::open(&world.store, "work", ids).await.unwrap();
    for (id, priority) in [("m1", 0), ("m2", 2), ("m3", 2)] {
        let sending = Sending { priority, ..Sending::default() };
        queue.send_with(vec![message(id)], sending).await.unwrap();
    }
    world.clock.advance(Duration::from_secs(90));
    let all = world.twin("/api/queue").await;
    let names: Vec<&str> =
        all.as_array().unwrap().iter().map(|queue| queue["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["declared", "work"], "a priority is no queue of its own");
    let twin = world.twin("/api/queue/work").await;
    let one = &twin["queue"];
    assert_eq!((&one["fresh"], &one["lag"], &one["lag_seconds"]), (&3.into(), &3.into(), &90.0.into()));
    assert_eq!(
        (&one["priorities"][0]["priority"], &one["priorities"][0]["status"]["fresh"]),
        (&2.into(), &2.into())
    );
    assert_eq!(twin["messages"].as_array().unwrap().len(), 3);
    assert_eq!(
        world.press("/queue/work", "/queue/work/rest", "act=pause").await,
        "/queue/work?done=pause&count=1"
    );
    assert!(queue.subscriber().receive(1, Duration::ZERO).await.unwrap().is_empty());
    world.press("/queue/work", "/queue/work/rest", "act=resume").await;
    assert_eq!(queue.subscriber().receive(3, Duration::ZERO).await.unwrap().len(), 3);
    let (status, _) = world.get("/queue/nobody").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(world.store.journal().readers("queue/nobody").await.unwrap().is_empty(), "looking made a queue");
}

#[tokio::test]
async fn ps_m5_a_subscription_is_paused_moved_and_its_dead_letters_redriven_by_buttons() {
    for pattern in ["orders", "*"] {
        let world = World::new();
        let topics = world.subscription(pattern).await;
        let mail = topics.subscription(pattern, "mail", SubscriptionOptions::default()).await.unwrap();
        let twin = world.twin("/api/topic/orders").await;
        assert_eq!(twin["topic"]["readers"][0]["pattern"], pattern);
        assert_eq!(twin["dead_letters"][0]["letters"][0]["errors"][0]["error"], "no such address");
        let press = async |act: &str, form: &str| {
            world.press("/topic/orders", &format!("/topic/orders/mail/{act}"), form).await
        };
        assert_eq!(press("dead-letters", "act=redrive+all").await, "/topic/orders?done=redrive&count=1");
        assert_eq!(press("rest", "act=pause").await, "/topic/orders?done=pause&count=1");
        assert!(mail.receive(5, Duration::ZERO).await.unwrap().is_empty());
        press("rest", "act=resume").await;
        let taken = mail.receive(5, Duration::ZERO).await.unwrap();
        assert_eq!(taken.len(), 2);
        let ends = taken.iter().map(|one| (one.lease, Settlement::Done)).collect();
        mail.settle(ends).await.unwrap();
        assert_eq!(press("move", "place=earliest").await, "/topic/orders?done=move&count=1");
        assert_eq!(
            mail.receive(5, Duration::ZERO).await.unwrap().len(),
            2,
            "it hears again of what it had heard"
        );
        press("move", "place=latest").await;
        assert!(mail.receive(5, Duration::ZERO).await.unwrap().is_empty());
        let (_, page) = world.get("/topic/orders").await;
        let token =
            page.split("name=\"token\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        let bad =
            post("/topic/orders/mail/move", "same-origin", OWN, format!("token={token}&place=yesterday"));
        assert_eq!(world.ask(bad).await.0, StatusCode::BAD_REQUEST);
    }
}

#[tokio::test]
async fn ob_b1_history_is_published_again_by_a_form_and_stands_in_the_audit() {
    let world = World::new();
    world.subscription("orders").await;
    let form = "topic=orders&since=1h&key=&type=&by=me&reason=mails+were+lost";
    assert_eq!(world.press("/outbox", "/outbox/replay", form).await, "/outbox?done=replay&count=2");
    let twin = world.twin("/api/outbox").await;
    assert_eq!(twin["events"].as_array().unwrap().len(), 4);
    assert_eq!((&twin["audit"][0]["by"], &twin["audit"][0]["sent"]), (&"me".into(), &2.into()), "{twin}");
    let (_, page) = world.get("/outbox").await;
    assert!(page.contains("mails were lost") && page.contains("nothing waits"), "{page}");
}
