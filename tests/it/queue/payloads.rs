//! Payloads of all kinds arrive unchanged. Only workers interpret them.

use anb::{
    ids::VideoId,
    job::{Job, UnknownJob},
};

use super::{NEVER_EXPIRES, WAIT, cases, one, stats};
use crate::support::Broker;

cases! {
    invalid_json_arrives,
    nearly_empty_payloads_arrive,
    unicode_and_markup_arrive,
    payload_of_200_kb_arrives,
    job_of_unknown_kind_arrives,
    job_of_newer_version_arrives,
    unknown_fields_of_a_job_are_ignored,
    trace_of_a_job_may_be_any_text,
    equal_payloads_are_separate_messages,
    poison_messages_do_not_block_valid_jobs,
}

async fn invalid_json_arrives(broker: &Broker) {
    for payload in ["{", "null", "[1,2", "kind=process_video", "\"", "%00%ff+&="] {
        assert_eq!(round_trip(broker, payload).await, payload);
    }
}

async fn nearly_empty_payloads_arrive(broker: &Broker) {
    for payload in [" ", "0", "\n", "\t\t", "{}"] {
        assert_eq!(round_trip(broker, payload).await, payload);
    }
}

async fn unicode_and_markup_arrive(broker: &Broker) {
    for payload in [
        "ñ Ñandú ü",
        "видео 视频 動画 वीडियो",
        "\u{202e}שלום مرحبا",
        "🎥👩‍👩‍👧‍👦 e\u{301}",
        "<a href=\"x\">&amp;</a> ]]> <!-- \r\n",
        "\u{fffd}\u{e000}\u{10ffff}",
    ] {
        assert_eq!(round_trip(broker, payload).await, payload);
    }
}

async fn payload_of_200_kb_arrives(broker: &Broker) {
    let payload = "ñ".repeat(100_000);
    let arrived = round_trip(broker, &payload).await;
    assert!(arrived == payload, "{} bytes", arrived.len());
}

async fn job_of_unknown_kind_arrives(broker: &Broker) {
    let payload = r#"{"kind":"send_mail","v":1}"#;
    let arrived = round_trip(broker, payload).await;
    assert_eq!(arrived, payload);
    let job = Job::from_payload(&arrived);
    assert!(matches!(job, Err(UnknownJob::Kind(_))), "{job:?}");
}

async fn job_of_newer_version_arrives(broker: &Broker) {
    let job = Job::ProcessVideo {
        v: 99,
        video_id: VideoId::generate(),
        trace: String::new(),
    };
    let arrived = round_trip(broker, &job.to_payload().unwrap()).await;
    let job = Job::from_payload(&arrived);
    assert!(matches!(job, Err(UnknownJob::Version(99))), "{job:?}");
}

async fn unknown_fields_of_a_job_are_ignored(broker: &Broker) {
    let video = VideoId::generate();
    let payload =
        format!(r#"{{"more":[1],"trace":"t","video_id":"{video}","v":1,"kind":"process_video"}}"#);
    let arrived = round_trip(broker, &payload).await;
    assert_eq!(arrived, payload);
    let expected = Job::process_video(video, "t".to_owned());
    assert_eq!(Job::from_payload(&arrived).unwrap(), expected);
}

async fn trace_of_a_job_may_be_any_text(broker: &Broker) {
    let queue = broker.queue(NEVER_EXPIRES).await;
    for trace in ["", "ñ\u{0}\u{1b}\"\\", &"x".repeat(4000)] {
        let job = Job::process_video(VideoId::generate(), trace.to_owned());
        queue.push(&job).await.unwrap();
        let delivery = one(&queue, WAIT).await;
        assert_eq!(Job::from_payload(&delivery.payload).unwrap(), job);
    }
}

async fn equal_payloads_are_separate_messages(broker: &Broker) {
    let queue = broker.queue(NEVER_EXPIRES).await;
    broker.push_raw(&["same"; 3]).await;
    one(&queue, WAIT).await.ack().await.unwrap();
    assert_eq!(queue.stats().await.unwrap(), stats(2, 0, 0));
}

async fn poison_messages_do_not_block_valid_jobs(broker: &Broker) {
    let queue = broker.queue(NEVER_EXPIRES).await;
    broker.push_raw(&["poison", "good", "poison", "good"]).await;
    let mut good = 0;
    for _ in 0..4 {
        let delivery = one(&queue, WAIT).await;
        if delivery.payload == "poison" {
            delivery.dead_letter("unknown_job").await.unwrap();
        } else {
            delivery.ack().await.unwrap();
            good += 1;
        }
    }
    assert_eq!(good, 2);
    assert_eq!(queue.stats().await.unwrap(), stats(0, 0, 2));
}

async fn round_trip(broker: &Broker, payload: &str) -> String {
    let queue = broker.queue(NEVER_EXPIRES).await;
    broker.push_raw(&[payload]).await;
    let delivery = one(&queue, WAIT).await;
    let arrived = delivery.payload.clone();
    delivery.ack().await.unwrap();
    arrived
}
