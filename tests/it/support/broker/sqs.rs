//! A queue and its dead-letter queue at the emulator, as an operator sees them.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use anb::{
    config::queue::{QueueType, Settings},
    queue::Queue,
};
use aws_sdk_sqs::{
    Client, Config,
    types::{
        MessageAttributeValue, MessageSystemAttributeName, QueueAttributeName as Attribute,
        SendMessageBatchRequestEntry,
    },
};

use crate::support::{
    aws,
    relay::{Relay, Target},
};

/// How long messages stay hidden that an operator looked at (s).
const LOOK_SECS: i32 = 5;

pub struct SqsBroker {
    pub client: Client,
    pub url: String,
    pub dead_url: String,
}

impl SqsBroker {
    /// Makes two queues that no other test uses; the first names the second in its redrive policy.
    pub async fn fresh() -> Self {
        static QUEUES: AtomicU32 = AtomicU32::new(0);
        let name = format!("anb-{}", QUEUES.fetch_add(1, Ordering::Relaxed));
        let client = client().await;
        let dead = client.create_queue().queue_name(format!("{name}-dead"));
        let dead_url = dead.send().await.unwrap().queue_url.unwrap();
        let main = client.create_queue().queue_name(&name);
        let url = main.send().await.unwrap().queue_url.unwrap();
        let broker = Self {
            client,
            url,
            dead_url,
        };
        broker.die_after(1000).await;
        broker
    }

    /// Returns the two queues that `settings` name.
    pub async fn at(settings: &Settings) -> Self {
        let client = client().await;
        let url = settings.sqs_queue().unwrap();
        let name = url.rsplit('/').next().unwrap();
        let dead = client.get_queue_url().queue_name(format!("{name}-dead"));
        Self {
            dead_url: dead.send().await.unwrap().queue_url.unwrap(),
            client,
            url,
        }
    }

    /// Has the emulator move what was received `receives` times and not ended.
    pub async fn die_after(&self, receives: u32) {
        let dead = self.client.get_queue_attributes().queue_url(&self.dead_url);
        let dead = dead
            .attribute_names(Attribute::QueueArn)
            .send()
            .await
            .unwrap();
        let arn = &dead.attributes.unwrap()[&Attribute::QueueArn];
        let policy = serde_json::json!({
            "deadLetterTargetArn": arn,
            "maxReceiveCount": receives,
        });
        let set = self.client.set_queue_attributes().queue_url(&self.url);
        set.attributes(Attribute::RedrivePolicy, policy.to_string())
            .send()
            .await
            .unwrap();
    }

    /// Starts a relay in front of the emulator.
    pub async fn relay() -> Relay {
        Relay::start(
            Target::Tcp(aws::emulator().await),
            "AmazonSQS.ReceiveMessage",
        )
        .await
    }

    /// Makes a queue without a relay in between.
    pub async fn queue(&self, visibility: Duration) -> Queue {
        let settings = self.settings().await;
        Queue::connect(&settings, visibility, &aws::config().await)
            .await
            .unwrap()
    }

    /// Returns the settings to reach it.
    pub async fn settings(&self) -> Settings {
        self.settings_at(aws::emulator().await)
    }

    /// Returns the settings to reach it at `address`.
    pub fn settings_at(&self, address: SocketAddr) -> Settings {
        Settings {
            queue_type: QueueType::Sqs,
            sqs_queue_url: Some(self.url.clone()),
            sqs_endpoint_url: Some(format!("http://{address}")),
            ..Settings::redis_at("unused")
        }
    }

    pub async fn push_raw(&self, payloads: &[&str]) {
        let entries = payloads.iter().enumerate().map(|(index, payload)| {
            let entry = SendMessageBatchRequestEntry::builder().id(index.to_string());
            entry.message_body(*payload).build().unwrap()
        });
        let send = self.client.send_message_batch().queue_url(&self.url);
        let answer = send
            .set_entries(Some(entries.collect()))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.failed, []);
    }

    /// Adds a dead message.
    pub async fn dead_letter(&self, payload: &str, reason: &str) {
        let reason = MessageAttributeValue::builder()
            .data_type("String")
            .string_value(reason);
        let send = self.client.send_message().queue_url(&self.dead_url);
        send.message_body(payload)
            .message_attributes("reason", reason.build().unwrap())
            .send()
            .await
            .unwrap();
    }

    pub async fn dead(&self) -> Vec<(String, String)> {
        let mut dead = Vec::new();
        loop {
            let receive = self.client.receive_message().queue_url(&self.dead_url);
            let received = receive
                .max_number_of_messages(10)
                .visibility_timeout(LOOK_SECS)
                .message_system_attribute_names(MessageSystemAttributeName::All)
                .message_attribute_names("All")
                .send()
                .await
                .unwrap();
            let Some(messages) = received.messages else {
                return dead;
            };
            for message in messages {
                let attributes = message.message_attributes.unwrap_or_default();
                let reason = attributes.get("reason");
                let reason = reason.and_then(|reason| reason.string_value.clone());
                dead.push((message.body.unwrap(), reason.unwrap_or_default()));
            }
        }
    }

    pub async fn wipe(&self) {
        for url in [&self.url, &self.dead_url] {
            let purge = self.client.purge_queue().queue_url(url);
            purge.send().await.unwrap();
        }
    }
}

async fn client() -> Client {
    let config = Config::from(&aws::config().await).to_builder();
    let endpoint = format!("http://{}", aws::emulator().await);
    Client::from_conf(config.endpoint_url(endpoint).build())
}
