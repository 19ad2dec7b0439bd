//! What SQS answers and no emulator does, and what exactly it is asked.

use std::time::Duration;

use anb::{
    config::queue::{QueueType, Settings},
    queue::Queue,
};
use serde_json::json;

use super::{FOR_EVER, NOW, job, one};
use crate::support::aws::{self, Answer, Script};

const THROTTLED: &str = "ThrottlingException";

#[tokio::test]
async fn a_throttled_call_is_tried_again() {
    let script = Script::start(|operation, earlier| match (operation, earlier) {
        ("SendMessage", 0 | 1) => Answer::sqs_error(400, THROTTLED),
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
async fn a_call_that_failed_inside_aws_is_tried_again() {
    let script = Script::start(|operation, earlier| match (operation, earlier) {
        ("SendMessage" | "ReceiveMessage" | "DeleteMessage", 0) => {
            Answer::sqs_error(500, "InternalFailure")
        }
        ("ChangeMessageVisibility", 0) => Answer::status(503, "<html>busy</html>"),
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
async fn what_is_throttled_for_long_is_an_error_in_the_end() {
    let script = Script::start(|operation, _| match operation {
        "SendMessage" => Answer::sqs_error(400, THROTTLED),
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
async fn a_missing_permission_stops_the_start() {
    for (operation, variable) in [("main", "SQS_QUEUE_URL="), ("dead", "SQS_DLQ_URL=")] {
        let script = Script::start(move |asked, earlier| {
            let is_dead = asked == "GetQueueAttributes" && earlier == 1;
            if is_dead == (operation == "dead") {
                Answer::sqs_error(403, "AccessDenied")
            } else {
                good(asked)
            }
        })
        .await;
        let Err(error) = connect(&script).await else {
            panic!("{operation} is open");
        };
        let error = format!("{error:#}");
        assert!(error.starts_with(variable), "{error}");
        assert!(error.contains("AccessDenied"), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

#[tokio::test]
async fn a_handle_whose_time_is_over_is_harmless() {
    for code in [
        "MessageNotInflight",
        "AWS.SimpleQueueService.MessageNotInflight",
        "InvalidParameterValue",
        "ReceiptHandleIsInvalid",
    ] {
        let script = Script::start(move |operation, _| match operation {
            "ChangeMessageVisibility" | "DeleteMessage" => Answer::sqs_error(400, code),
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
async fn a_refusal_that_is_not_about_time_is_an_error() {
    let script = Script::start(|operation, _| match operation {
        "ChangeMessageVisibility" | "DeleteMessage" => Answer::sqs_error(403, "AccessDenied"),
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

/// A crash between the two calls may leave two copies, but never none.
#[tokio::test]
async fn a_message_that_could_not_be_buried_is_not_deleted() {
    let script = Script::start(|operation, _| match operation {
        "SendMessage" => Answer::sqs_error(403, "AccessDenied"),
        _ => good(operation),
    })
    .await;
    let queue = connect(&script).await.unwrap();
    one(&queue, NOW).await.dead_letter("x").await.unwrap_err();
    assert_eq!(script.asked("DeleteMessage").len(), 0);
}

#[tokio::test]
async fn each_receive_asks_for_its_visibility_and_no_more_than_aws_gives() {
    let script = Script::start(|operation, _| good(operation)).await;
    let queue = connect(&script).await.unwrap();
    for (max, wait) in [(1, NOW), (7, Duration::from_millis(1500)), (64, FOR_EVER)] {
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
async fn an_extension_hides_for_the_same_time_and_a_release_for_none() {
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
async fn the_dead_go_with_their_reason_to_the_queue_of_the_dead() {
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
    Queue::connect(&settings, FOR_EVER, &aws::config().await).await
}

fn queue_url(script: &Script) -> String {
    format!("{}/000000000000/anb", script.url)
}

/// Answers as SQS does when all is well and one message waits.
fn good(operation: &str) -> Answer {
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
    Answer::ok(body.to_string())
}
