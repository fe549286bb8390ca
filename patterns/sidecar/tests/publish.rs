//! Publishing over Dapr's HTTP API, to the last byte that the broker gets.

mod common;

use common::{Running, call, json, start};
use dozen_sidecar::{Options, Secret};

async fn publish(running: &Running, path: &str, kind: &str, body: &str) -> dozen_harness::Reply {
    let trace = ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    call("POST", format!("{}{path}", running.url), &[("content-type", kind), trace], body.as_bytes()).await
}

#[tokio::test]
async fn a_payload_becomes_an_event_on_its_topic() {
    let running = start(Options::new("shop", None));
    let path = "/v1.0/publish/pubsub/orders?metadata.partitionKey=o%2D7&metadata.ttlInSeconds=60";
    assert_eq!(publish(&running, path, "application/json", r#"{"total":3}"#).await.status, 204);
    let message = &running.broker.messages("orders")[0];
    assert_eq!((message.kind.as_str(), message.source.as_str()), ("com.dapr.event.sent", "shop"));
    assert_eq!((message.key(), &message.data[..]), (Some("o-7"), &br#"{"total":3}"#[..]));
    assert_eq!(message.trace().unwrap().trace_id_text(), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert!(message.extension("expiration").is_some());
}

#[tokio::test]
async fn a_topic_may_hold_slashes_and_a_path_an_empty_query() {
    let running = start(Options::new("shop", None));
    let reply = call("PUT", format!("{}/v1.0/publish/pubsub/orders/eu/new?", running.url), &[], b"hi").await;
    assert_eq!(reply.status, 204);
    assert_eq!(running.broker.messages("orders/eu/new")[0].content_type.as_deref(), Some("text/plain"));
}

#[tokio::test]
async fn a_bulk_is_published_whole_under_both_versions_and_in_any_case() {
    let running = start(Options::new("shop", None));
    for (version, id, kind) in [("v1.0", "entryId", "contentType"), ("v1.0-alpha1", "entryID", "ContentType")]
    {
        let body = format!(
            r#"[{{"{id}":"1","event":{{"a":1}},"{kind}":"application/json","metadata":{{"partitionKey":"k"}}}},
                {{"{id}":"2","event":"hello","{kind}":"text/plain"}},
                {{"{id}":"3","event":"AP8=","{kind}":"application/octet-stream"}}]"#
        );
        let path = format!("/{version}/publish/bulk/pubsub/orders");
        let reply = publish(&running, &path, "application/json", &body).await;
        assert_eq!(reply.status, 204, "{}", reply.text());
    }
    let messages = running.broker.messages("orders");
    assert_eq!(messages.len(), 6);
    assert_eq!((&messages[3].data[..], messages[3].key()), (&br#"{"a":1}"#[..], Some("k")));
    assert_eq!((&messages[4].data[..], &messages[5].data[..]), (&b"hello"[..], &[0u8, 255][..]));
}

#[tokio::test]
async fn a_bulk_that_the_broker_refuses_names_every_entry() {
    let running = start(Options::new("shop", None));
    let body = r#"[{"entryId":"1","event":1,"contentType":"application/json"},
                   {"entryId":"2","event":2,"contentType":"application/json"}]"#;
    let reply = publish(&running, "/v1.0/publish/bulk/pubsub/broken", "application/json", body).await;
    let answer = json(&reply);
    assert_eq!((reply.status, &answer["errorCode"]), (500, &"ERR_PUBSUB_PUBLISH_MESSAGE".into()));
    assert_eq!(answer["failedEntries"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn refusals_carry_daprs_codes() {
    let running = start(Options { body_max: 1000, ..Options::new("shop", None) });
    let large = "x".repeat(2000);
    for (path, kind, body, status, code) in [
        ("/v1.0/publish/other/orders", "text/plain", "x", 404, "ERR_PUBSUB_NOT_FOUND"),
        ("/v1.0/publish/pubsub", "text/plain", "x", 404, "ERR_TOPIC_NAME_EMPTY"),
        ("/v1.0/publish", "text/plain", "x", 404, "ERR_PUBSUB_EMPTY"),
        ("/v1.0/publish/pubsub/broken", "text/plain", "x", 500, "ERR_PUBSUB_PUBLISH_MESSAGE"),
        (
            "/v1.0/publish/pubsub/a?metadata.ttlInSeconds=x",
            "text/plain",
            "x",
            400,
            "ERR_PUBSUB_REQUEST_METADATA",
        ),
        ("/v1.0/publish/pubsub/a", "application/cloudevents+json", "{", 500, "ERR_PUBSUB_CLOUD_EVENTS_SER"),
        ("/v1.0/publish/pubsub/a", "text/plain", large.as_str(), 413, "ERR_BODY_READ"),
        ("/v1.0/publish/bulk/pubsub/a", "application/json", "{}", 400, "ERR_PUBSUB_EVENTS_SER"),
        ("/v1.0/publish/bulk/pubsub/a", "application/json", "[{}]", 400, "ERR_PUBSUB_EVENTS_SER"),
        (
            "/v1.0/publish/bulk/pubsub/a",
            "application/json",
            r#"[{"entryId":"1"}]"#,
            400,
            "ERR_PUBSUB_EVENTS_SER",
        ),
        (
            "/v1.0/publish/bulk/pubsub/a",
            "application/json",
            r#"[{"entryId":"1","contentType":"text/plain"},{"entryId":"1","contentType":"text/plain"}]"#,
            400,
            "ERR_PUBSUB_EVENTS_SER",
        ),
        ("/v1.0/state/store", "application/json", "[]", 501, "ERR_API_UNIMPLEMENTED"),
        ("/v1.0-alpha1/lock/store", "application/json", "{}", 501, "ERR_API_UNIMPLEMENTED"),
        ("/nowhere", "text/plain", "", 404, "ERR_DIRECT_INVOKE"),
    ] {
        let reply = publish(&running, path, kind, body).await;
        let answer = json(&reply);
        assert_eq!((reply.status, &answer["errorCode"]), (status, &code.into()), "{path}: {}", reply.text());
        assert!(!answer["message"].as_str().unwrap().is_empty(), "{path}");
    }
    assert!(running.broker.messages("a").is_empty(), "nothing that was refused was published");
}

#[tokio::test]
async fn a_token_is_asked_for_everywhere_but_on_the_probes() {
    let running = start(Options { api_token: Secret::new("s3cret"), ..Options::new("shop", None) });
    let url = |path: &str| format!("{}{path}", running.url);
    for (token, status) in [(None, 401), (Some("wrong"), 401), (Some("s3cret"), 204)] {
        let headers: Vec<(&str, &str)> = token.map(|token| ("dapr-api-token", token)).into_iter().collect();
        let reply = call("POST", url("/v1.0/publish/pubsub/orders"), &headers, b"x").await;
        assert_eq!(reply.status, status);
        if status == 401 {
            assert_eq!(reply.text(), "invalid api token");
        }
    }
    assert_eq!(call("GET", url("/v1.0/metadata"), &[], b"").await.status, 401);
    assert_eq!(call("GET", url("/v1.0/healthz"), &[], b"").await.status, 204);
    assert_eq!(call("GET", url("/v1.0/healthz/outbound"), &[], b"").await.status, 204);
}
