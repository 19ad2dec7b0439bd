//! Responses of SQS that no emulator gives, and the exact requests to it.

use std::time::Duration;

use anb::{
    config::queue::{QueueType, Settings},
    queue::Queue,
};
use serde_json::json;

use super::{NEVER_EXPIRES, NOW, job, one};
use crate::support::aws::{self, Script, ScriptedResponse};

const THROTTLED: &str = "ThrottlingException";

#[tokio::test]
async fn throttled_call_is_retried() {
    let script = Script::start(|operation, earlier| match (operation, earlier) {
        ("SendMessage", 0 | 1) => ScriptedResponse::sqs_error(400, THROTTLED),
        _ => good(operation),
    })
    .await;
    let queue = connect(&script).await.unwrap();
    queue.push(&job()).await.unwrap();
    let sent = script.asked("SendMessage");
    assert_eq!(sent.len(), 3);
    assert_eq!(sent[0].body, sent[2].body);
}

#[tokio::test]
async fn internal_aws_failure_is_retried() {
    let script = Script::start(|operation, earlier| match (operation, earlier) {
        ("SendMessage" | "ReceiveMessage" | "DeleteMessage", 0) => {
            ScriptedResponse::sqs_error(500, "InternalFailure")
        }
        ("ChangeMessageVisibility", 0) => ScriptedResponse::status(503, "<html>busy</html>"),
        _ => good(operation),
    })
    .await;
    let queue = connect(&script).await.unwrap();
    queue.push(&job()).await.unwrap();
    let delivery = one(&queue, NOW).await;
    delivery.extend().await.unwrap();
    delivery.ack().await.unwrap();
    for operation in [
        "SendMessage",
        "ReceiveMessage",
        "ChangeMessageVisibility",
        "DeleteMessage",
    ] {
        assert_eq!(script.asked(operation).len(), 2, "{operation}");
    }
}

#[tokio::test]
async fn persistent_throttling_is_an_error() {
    let script = Script::start(|operation, _| match operation {
        "SendMessage" => ScriptedResponse::sqs_error(400, THROTTLED),
        _ => good(operation),
    })
    .await;
    let queue = connect(&script).await.unwrap();
    let error = format!("{:#}", queue.push(&job()).await.unwrap_err());
    assert!(error.contains(THROTTLED), "{error}");
    let tries = script.asked("SendMessage").len();
    assert!((2..10).contains(&tries), "{tries}");
}

#[tokio::test]
async fn missing_permission_prevents_the_start() {
    for (operation, variable) in [("main", "SQS_QUEUE_URL="), ("dead", "SQS_DLQ_URL=")] {
        let script = Script::start(move |asked, earlier| {
            let is_dead = asked == "GetQueueAttributes" && earlier == 1;
            if is_dead == (operation == "dead") {
                ScriptedResponse::sqs_error(403, "AccessDenied")
            } else {
                good(asked)
            }
        })
        .await;
        let Err(error) = connect(&script).await else {
            panic!("{operation} must fail");
        };
        let error = format!("{error:#}");
        assert!(error.starts_with(variable), "{error}");
        assert!(error.contains("AccessDenied"), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

#[tokio::test]
async fn expired_receipt_handle_is_ignored() {
    for code in [
        "MessageNotInflight",
        "AWS.SimpleQueueService.MessageNotInflight",
        "InvalidParameterValue",
        "ReceiptHandleIsInvalid",
    ] {
        let script = Script::start(move |operation, _| match operation {
            "ChangeMessageVisibility" | "DeleteMessage" => ScriptedResponse::sqs_error(400, code),
            _ => good(operation),
        })
        .await;
        let queue = connect(&script).await.unwrap();
        let delivery = one(&queue, NOW).await;
        delivery.extend().await.unwrap();
        delivery.release().await.unwrap();
        one(&queue, NOW).await.ack().await.unwrap();
        one(&queue, NOW).await.dead_letter("x").await.unwrap();
        assert_eq!(script.asked("ChangeMessageVisibility").len(), 2, "{code}");
        assert_eq!(script.asked("DeleteMessage").len(), 2, "{code}");
    }
}

#[tokio::test]
async fn other_client_errors_are_reported() {
    let script = Script::start(|operation, _| match operation {
        "ChangeMessageVisibility" | "DeleteMessage" => {
            ScriptedResponse::sqs_error(403, "AccessDenied")
        }
        _ => good(operation),
    })
    .await;
    let queue = connect(&script).await.unwrap();
    let delivery = one(&queue, NOW).await;
    for error in [
        delivery.extend().await.unwrap_err(),
        delivery.ack().await.unwrap_err(),
    ] {
        assert!(format!("{error:#}").contains("AccessDenied"), "{error:#}");
    }
}

/// A crash between the two calls may leave two copies, but must not lose the message.
#[tokio::test]
async fn message_is_kept_if_dead_lettering_fails() {
    let script = Script::start(|operation, _| match operation {
        "SendMessage" => ScriptedResponse::sqs_error(403, "AccessDenied"),
        _ => good(operation),
    })
    .await;
    let queue = connect(&script).await.unwrap();
    one(&queue, NOW).await.dead_letter("x").await.unwrap_err();
    assert_eq!(script.asked("DeleteMessage").len(), 0);
}

#[tokio::test]
async fn receive_sets_visibility_and_respects_aws_limits() {
    let script = Script::start(|operation, _| good(operation)).await;
    let queue = connect(&script).await.unwrap();
    for (max, wait) in [
        (1, NOW),
        (7, Duration::from_millis(1500)),
        (64, NEVER_EXPIRES),
    ] {
        queue.receive(max, wait).await.unwrap();
    }
    let asked = script.asked("ReceiveMessage");
    let numbers = asked.iter().map(|asked| {
        let asked = asked.json();
        [
            "MaxNumberOfMessages",
            "WaitTimeSeconds",
            "VisibilityTimeout",
        ]
        .map(|name| asked[name].as_i64())
    });
    let numbers: Vec<_> = numbers.collect();
    let expected = [[1, 0, 600], [7, 2, 600], [10, 20, 600]].map(|row| row.map(Some));
    assert_eq!(numbers, expected);
}

#[tokio::test]
async fn extension_renews_visibility_and_release_ends_it() {
    let script = Script::start(|operation, _| good(operation)).await;
    let queue = connect(&script).await.unwrap();
    let delivery = one(&queue, NOW).await;
    delivery.extend().await.unwrap();
    delivery.release().await.unwrap();
    let asked = script.asked("ChangeMessageVisibility");
    let asked: Vec<_> = asked.iter().map(aws::Asked::json).collect();
    for (asked, seconds) in asked.iter().zip([600, 0]) {
        assert_eq!(asked["VisibilityTimeout"], seconds);
        assert_eq!(asked["ReceiptHandle"], "handle");
        assert_eq!(asked["QueueUrl"], queue_url(&script));
    }
    assert_eq!(asked.len(), 2);
}

#[tokio::test]
async fn dead_letters_keep_their_reason() {
    let script = Script::start(|operation, _| good(operation)).await;
    let queue = connect(&script).await.unwrap();
    one(&queue, NOW)
        .await
        .dead_letter("processing_failed")
        .await
        .unwrap();
    let sent = script.asked("SendMessage")[0].json();
    assert_eq!(sent["QueueUrl"], format!("{}-dead", queue_url(&script)));
    assert_eq!(sent["MessageBody"], "payload");
    let reason = json!({"DataType": "String", "StringValue": "processing_failed"});
    assert_eq!(sent["MessageAttributes"], json!({"reason": reason}));
    assert_eq!(
        script.asked("DeleteMessage")[0].json()["QueueUrl"],
        queue_url(&script)
    );
}

async fn connect(script: &Script) -> anyhow::Result<Queue> {
    let url = queue_url(script);
    let settings = Settings {
        queue_type: QueueType::Sqs,
        sqs_dlq_url: Some(format!("{url}-dead")),
        sqs_queue_url: Some(url),
        sqs_endpoint_url: Some(script.url.clone()),
        ..Settings::redis_at("unused")
    };
    Queue::connect(&settings, NEVER_EXPIRES, &aws::config().await).await
}

fn queue_url(script: &Script) -> String {
    format!("{}/000000000000/anb", script.url)
}

/// Responds like SQS without failures and with one waiting message.
fn good(operation: &str) -> ScriptedResponse {
    let body = match operation {
        "GetQueueAttributes" => json!({"Attributes": {
            "ApproximateNumberOfMessages": "1",
            "ApproximateNumberOfMessagesNotVisible": "0",
            "ApproximateNumberOfMessagesDelayed": "0",
        }}),
        "ReceiveMessage" => json!({"Messages": [
            {"MessageId": "id", "ReceiptHandle": "handle", "Body": "payload"},
        ]}),
        "SendMessage" => json!({"MessageId": "id"}),
        _ => json!({}),
    };
    ScriptedResponse::ok(body.to_string())
}
