//! Decisions that take their time, and changes in what is answered.

use std::sync::Arc;
use std::time::Duration;

use dozen_dataplane::{
    Content, Decision, Draft, Failure, Fields, Forward, Outgoing, ProxyOptions, Reply, Serving, Verdict,
};
use http::Response;
use tokio::sync::{Notify, Semaphore};

use crate::wire::{echo, service};
use crate::world::{Answering, End, World, get, options, said, upstream};

#[tokio::test]
async fn a_later_decision_changes_the_request_and_is_then_as_good_as_any() {
    let upstream = upstream(echo().await);
    let mut world = World::start(move |request, outgoing| {
        outgoing.add("x-early", b"1");
        let (upstream, refused) = (upstream.clone(), request.path == "/refused");
        let decided = async move {
            tokio::task::yield_now().await;
            let mut fields = Fields::default();
            fields.add("x-user", b"anna");
            let verdict = match refused {
                true => Verdict::Reply(Reply::new(401, "who are you?"), 2),
                false => Verdict::Forward(Forward::new(upstream, 1, 2)),
            };
            Decision { fields, target: Some("/new?a=1".into()), ..Decision::new(verdict) }
        };
        Verdict::Later(Box::pin(decided), 1)
    })
    .await;
    let mut wire = world.wire().await;
    let post = "POST /a HTTP/1.1\r\nhost: a\r\nx-stripped: 1\r\ncontent-length: 5\r\n\r\nhello";
    for _ in 0..2 {
        wire.send(post).await;
        let answer = wire.answer(false).await;
        assert!(answer.body.starts_with("post /new?a=1 http/1.1\r\n"), "{}", answer.body);
        assert!(answer.body.contains("x-early: 1\r\nx-user: anna\r\n"), "{}", answer.body);
        assert!(
            !answer.body.contains("x-stripped") && answer.body.ends_with("\r\n\r\nhello"),
            "{}",
            answer.body
        );
        let end = world.ended().await;
        assert_eq!((end.ticket, end.status, end.bytes_in), (2, 200, 5));
    }
    // The body that came along with a refused request is passed over, and the connection goes on.
    wire.send(post.replace("/a", "/refused")).await;
    assert_eq!(wire.answer(false).await.status, 401);
    wire.send(post).await;
    assert_eq!(wire.answer(false).await.status, 200);
    let mut sender = world.http2().await;
    let answer = said(&mut sender, get("http://a/x")).await;
    assert!(answer.body.contains("x-early: 1\r\nx-user: anna\r\n"), "{}", answer.body);
    assert!(answer.body.starts_with("get /new?a=1 http/1.1\r\n"), "{}", answer.body);
    drop((wire, sender));
    world.end().await;
}

#[tokio::test]
async fn a_draft_changes_all_of_a_request_that_can_be_changed_at_once() {
    let upstream = upstream(echo().await);
    let mut world = World::start(move |request, outgoing| {
        outgoing.remove("x-early");
        let (upstream, is_late) = (upstream.clone(), request.path == "/late");
        let change = |outgoing: &mut Outgoing<'_>| {
            outgoing.add("x-user", b"anna");
            outgoing.remove("x-gone");
            outgoing.set_host("b.local".into());
            *outgoing.target = "/new?a=1".into();
        };
        if !is_late {
            change(outgoing);
            return Verdict::Forward(Forward::new(upstream, 1, 1));
        }
        let mut draft = Draft::new("/late");
        change(&mut draft.outgoing());
        let decided = async move {
            tokio::task::yield_now().await;
            draft.decide(Verdict::Forward(Forward::new(upstream, 1, 2)))
        };
        Verdict::Later(Box::pin(decided), 1)
    })
    .await;
    let mut wire = world.wire().await;
    let mut bodies = Vec::new();
    for path in ["/now", "/late"] {
        wire.send(format!("GET {path} HTTP/1.1\r\nhost: a\r\nx-early: 1\r\nX_Gone: 1\r\nx-stays: 1\r\n\r\n"))
            .await;
        bodies.push(wire.answer(false).await.body);
        world.ended().await;
    }
    assert_eq!(bodies[0], bodies[1]);
    assert!(bodies[1].starts_with("get /new?a=1 http/1.1\r\nhost: b.local\r\n"), "{}", bodies[1]);
    assert!(bodies[1].contains("x-stays: 1\r\n") && !bodies[1].contains("gone"), "{}", bodies[1]);
    drop(wire);
    world.end().await;
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_undecided_request_along() {
    struct Tell(Arc<Semaphore>);
    impl Drop for Tell {
        fn drop(&mut self) {
            self.0.add_permits(1);
        }
    }
    let (asked, dropped) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
    let mut world = World::start({
        let (asked, dropped) = (asked.clone(), dropped.clone());
        move |_, _| {
            asked.notify_one();
            let tell = Tell(dropped.clone());
            let never = async move {
                let _tell = tell;
                std::future::pending::<Decision<u32>>().await
            };
            Verdict::Later(Box::pin(never), 1)
        }
    })
    .await;
    let gone = |failure| End {
        ticket: 1,
        status: 499,
        failure: Some(failure),
        bytes_in: 0,
        bytes_out: 0,
        reached: false,
    };
    let mut wire = world.wire().await;
    wire.send("GET /a HTTP/1.1\r\nhost: a\r\n\r\n").await;
    asked.notified().await;
    drop(wire);
    dropped.acquire().await.unwrap().forget();
    assert_eq!(world.ended().await, gone(Failure::ClientGone));

    let mut sender = world.http2().await;
    let request = tokio::spawn(async move { sender.send_request(get("http://a/x")).await });
    asked.notified().await;
    request.abort();
    dropped.acquire().await.unwrap().forget();
    assert_eq!(world.ended().await, gone(Failure::ClientGone));

    // What a stop cuts has its end, too.
    let mut wire = world.wire().await;
    wire.send("GET /a HTTP/1.1\r\nhost: a\r\n\r\n").await;
    asked.notified().await;
    world.stop.hard.cancel();
    world.stop.soft.cancel();
    assert_eq!(world.ended().await, gone(Failure::Stopped));
    world.end().await;
}

#[tokio::test]
async fn an_answer_is_amended_wherever_it_comes_from_but_a_reply_is_not() {
    let cookies = service(|mut wire| async move {
        while wire.head().await.is_some() {
            wire.send(
                "HTTP/1.1 200 OK\r\nset-cookie: a=1; Path=/old\r\nset-cookie: b=2\r\nvary: x\r\n\
                 content-length: 2\r\n\r\nok",
            )
            .await;
        }
    });
    let there = upstream(cookies.await);
    let nowhere = upstream("127.0.0.1:1".parse().unwrap());
    let served = Arc::new(Answering(|_| async { Response::new("served".into()) }));
    let begin =
        move |request: &dozen_dataplane::Incoming<'_>, _: &mut dozen_dataplane::Outgoing<'_>| match request
            .path
        {
            "/there" => Verdict::Forward(Forward::new(there.clone(), 1, 1)),
            "/nowhere" => Verdict::Forward(Forward::new(nowhere.clone(), 1, 1)),
            "/served" => Verdict::Serve(Serving {
                service: served.clone(),
                around: None,
                body_max: 0,
                total: None,
                ticket: 1,
            }),
            _ => Verdict::Reply(Reply::empty(204), 1),
        };
    let world = World::build(options(), begin, |answer, changes| {
        changes.set("access-control-allow-origin", b"*");
        changes.add("vary", b"origin");
        changes.set("content-length", b"1");
        changes.add("x-bad", b"a\r\nx-evil: 1");
        if answer.failure.is_some() {
            changes.set("x-failed", b"yes");
        }
        let cookies: Vec<Vec<u8>> = answer
            .fields()
            .filter(|(name, _)| *name == "set-cookie")
            .map(|(_, value)| String::from_utf8_lossy(value).replace("/old", "/new").into_bytes())
            .collect();
        changes.remove("set-cookie");
        for cookie in cookies {
            changes.add("set-cookie", &cookie);
        }
    })
    .await;
    let mut sender = world.http2().await;
    for (path, status) in [("/there", 200), ("/nowhere", 502), ("/served", 200)] {
        let one = world.ask(&format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n")).await;
        let two = said(&mut sender, get(&format!("http://a{path}"))).await;
        assert_eq!((one.status, two.status), (status, status), "{path}");
        assert_eq!(one.header("access-control-allow-origin"), Some("*"), "{path}");
        assert_eq!(two.header("access-control-allow-origin"), Some("*"), "{path}");
        assert!(!one.head.contains("evil") && !two.headers.contains_key("x-bad"), "{}", one.head);
        assert_eq!(one.header("x-failed").is_some(), path == "/nowhere");
        assert_eq!(two.header("x-failed").is_some(), path == "/nowhere");
        assert_eq!(one.body, two.body);
    }
    let answer = world.ask("GET /there HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert!(answer.head.contains("set-cookie: a=1; path=/new\r\nset-cookie: b=2\r\n"), "{}", answer.head);
    assert!(
        answer.head.contains("vary: x\r\n") && answer.head.contains("vary: origin\r\n"),
        "{}",
        answer.head
    );
    let answer = world.ask("GET /else HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (204, None));
    assert_eq!(answer.header("content-length"), None, "{}", answer.head);
    drop(sender);
    world.end().await;
}

#[tokio::test]
async fn a_reply_holds_what_it_was_given() {
    let world = World::start(|request, _| {
        let mut reply = match request.path {
            "/moved" => Reply::empty(308),
            "/text" => Reply::bytes(200, "text/plain", "hello"),
            _ => Reply { content: Content::Empty, ..Reply::new(204, "") },
        };
        reply.fields.push(("location", "/there".into()));
        Verdict::Reply(reply, 1)
    })
    .await;
    let mut wire = world.wire().await;
    for (method, path, status, length, body) in [
        ("GET", "/moved", 308, Some("0"), ""),
        ("GET", "/text", 200, Some("5"), "hello"),
        ("HEAD", "/text", 200, Some("5"), ""),
        ("OPTIONS", "/none", 204, None, ""),
    ] {
        wire.send(format!("{method} {path} HTTP/1.1\r\nhost: a\r\n\r\n")).await;
        let answer = wire.answer(method == "HEAD").await;
        assert_eq!((answer.status, answer.header("content-length"), &*answer.body), (status, length, body));
        assert_eq!(answer.header("location"), Some("/there"));
    }
    let mut sender = world.http2().await;
    let answer = said(&mut sender, get("http://a/moved")).await;
    assert_eq!((answer.status, answer.header("location"), &*answer.body), (308, Some("/there"), ""));
    drop((wire, sender));
    world.end().await;
}

#[tokio::test]
async fn a_head_that_comes_too_slowly_is_told_so() {
    let options = ProxyOptions { header_timeout: Duration::from_millis(100), ..options() };
    let world = World::build(options, |_, _| Verdict::Reply(Reply::empty(204), 1), |_, _| {}).await;
    let mut wire = world.wire().await;
    wire.send("GET /a HTTP/1.1\r\nhost:").await;
    let answer = wire.answer(false).await;
    assert_eq!((answer.status, answer.header("connection")), (408, Some("close")));
    // Whoever has said nothing at all is told nothing.
    let mut silent = world.wire().await;
    assert_eq!(silent.rest().await, b"");
    world.end().await;
}
