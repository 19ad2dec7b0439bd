//! A scripted metadata service and auto scaling API, and a worker on their instance.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use anb::{
    aws::provider_config,
    ec2::{Instance, Pace},
    shutdown::Shutdown,
    worker::Worker,
};
use aws_config::imds;
use chrono::{SecondsFormat, Utc};
use tokio::task::JoinHandle;

use super::PROTECT;
use crate::support::{
    TestApp,
    aws::{self, Asked, Script, ScriptedResponse},
    eventually,
};

pub const INSTANCE: &str = "i-0123456789abcdef0";
pub const GROUP: &str = "anb-worker-asg";
pub const HOOK: &str = "anb-worker-drain";

/// Heartbeat timeout of the hook (s): the worker sends a heartbeat every second.
const HOOK_SECONDS: u32 = 3;

pub const PACE: Pace = Pace {
    poll: Duration::from_millis(100),
    linger: Duration::from_secs(1),
};

/// The metadata service and the auto scaling API, at one address.
pub struct Cloud {
    script: Script,
    state: Arc<State>,
}

type Event = Box<dyn Fn(&State) + Send + Sync>;

/// The current responses of the cloud.
#[derive(Default)]
pub struct State {
    metadata: Mutex<BTreeMap<String, String>>,
    refused: Mutex<BTreeMap<String, (u16, &'static str)>>,
    events: Mutex<BTreeMap<String, Event>>,
}

impl State {
    pub fn set(&self, item: &str, value: &str) {
        let item = format!("meta-data/{item}");
        self.metadata.lock().unwrap().insert(item, value.to_owned());
    }

    /// Rejects an operation from now on.
    pub fn refuse(&self, operation: &str, status: u16, code: &'static str) {
        let mut refused = self.refused.lock().unwrap();
        refused.insert(operation.to_owned(), (status, code));
    }

    fn answer(&self, operation: &str) -> ScriptedResponse {
        if operation == "api/token" {
            let ttl = ("x-aws-ec2-metadata-token-ttl-seconds", "21600");
            return ScriptedResponse::ok("token").header(ttl.0, ttl.1);
        }
        if operation.starts_with("meta-data/") {
            let value = self.metadata.lock().unwrap().get(operation).cloned();
            return value.map_or_else(|| ScriptedResponse::status(404, ""), ScriptedResponse::ok);
        }
        let event = self.events.lock().unwrap().remove(operation);
        if let Some(event) = event {
            event(self);
        }
        if let Some((status, code)) = self.refused.lock().unwrap().get(operation) {
            return ScriptedResponse::query_error(*status, code);
        }
        let result = match operation {
            "DescribeAutoScalingInstances" => format!(
                "<AutoScalingInstances><member><InstanceId>{INSTANCE}</InstanceId>\
                 <AutoScalingGroupName>{GROUP}</AutoScalingGroupName></member></AutoScalingInstances>"
            ),
            "DescribeLifecycleHooks" => format!(
                "<LifecycleHooks><member><LifecycleHookName>{HOOK}</LifecycleHookName>\
                 <LifecycleTransition>autoscaling:EC2_INSTANCE_TERMINATING</LifecycleTransition>\
                 <HeartbeatTimeout>{HOOK_SECONDS}</HeartbeatTimeout></member></LifecycleHooks>"
            ),
            _ => String::new(),
        };
        ScriptedResponse::ok(format!(
            "<{operation}Response><{operation}Result>{result}</{operation}Result></{operation}Response>"
        ))
    }
}

impl std::ops::Deref for Cloud {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl Cloud {
    /// Starts a cloud whose instance is in service.
    pub async fn start() -> Self {
        let state = Arc::new(State::default());
        state.set("instance-id", INSTANCE);
        state.set("autoscaling/target-lifecycle-state", "InService");
        let answering = Arc::clone(&state);
        let script = Script::start(move |operation, _| answering.answer(operation)).await;
        Self { script, state }
    }

    /// Runs `event` on the next call of an operation, before the response.
    pub fn on(&self, operation: &str, event: impl Fn(&State) + Send + Sync + 'static) {
        let mut events = self.events.lock().unwrap();
        events.insert(operation.to_owned(), Box::new(event));
    }

    /// Announces a Spot interruption.
    pub fn interrupt(&self, after: Duration) {
        let at = (Utc::now() + after).to_rfc3339_opts(SecondsFormat::Secs, true);
        let action = format!(r#"{{"action":"terminate","time":"{at}"}}"#);
        self.set("spot/instance-action", &action);
    }

    pub fn asked(&self, operation: &str) -> Vec<Asked> {
        self.script.asked(operation)
    }

    /// Returns the requested protection states, in order.
    pub fn protections(&self) -> Vec<String> {
        let asked = self.asked(PROTECT);
        let values = asked
            .iter()
            .map(|asked| asked.field("ProtectedFromScaleIn").unwrap());
        values.collect()
    }

    /// Waits until the worker has requested protection for a job.
    pub async fn until_protected(&self) {
        eventually("the instance is protected", 600, async || {
            self.protections().contains(&"true".to_owned())
        })
        .await;
    }

    pub async fn until_asked(&self, operation: &str) {
        eventually(operation, 180, async || !self.asked(operation).is_empty()).await;
    }

    /// Returns the settings of a process on the instance.
    pub fn environment(&self) -> [(&str, &str); 5] {
        [
            ("EC2_LIFECYCLE", "on"),
            ("AWS_ENDPOINT_URL", &self.script.url),
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &self.script.url),
            ("AWS_ACCESS_KEY_ID", aws::KEY),
            ("AWS_SECRET_ACCESS_KEY", aws::KEY),
        ]
    }
}

/// A worker that runs on the instance of a cloud.
pub struct Crew {
    pub shutdown: Shutdown,
    running: JoinHandle<()>,
}

impl Crew {
    pub async fn start(app: &TestApp, cloud: &Cloud) -> Self {
        Self::start_with(app, cloud, PACE).await
    }

    pub async fn start_with(app: &TestApp, cloud: &Cloud, pace: Pace) -> Self {
        let shutdown = Shutdown::new(Duration::from_secs(30));
        let worker = Worker::new(app.worker_context().await, shutdown.clone());
        let config = aws::config().await.into_builder();
        let config = config.endpoint_url(&cloud.script.url).build();
        let metadata = imds::Client::builder().endpoint(&cloud.script.url);
        let metadata = metadata
            .unwrap()
            .configure(&provider_config(&config))
            .build();
        let instance = Instance::find(&config, metadata, shutdown.clone(), pace)
            .await
            .unwrap();
        let running = tokio::spawn(async move {
            Box::pin(instance.run_protected(worker.jobs(), worker.run())).await;
        });
        Self { shutdown, running }
    }

    pub fn is_over(&self) -> bool {
        self.running.is_finished()
    }

    /// Stops the worker as the second signal does, and waits until it ends.
    pub async fn stop(self) {
        self.shutdown.force();
        self.ended().await;
    }

    pub async fn ended(self) {
        tokio::time::timeout(Duration::from_mins(1), self.running)
            .await
            .unwrap()
            .unwrap();
    }
}
