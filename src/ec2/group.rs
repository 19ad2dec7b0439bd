//! What an instance tells its auto scaling group.

use std::{
    collections::BTreeSet,
    error::Error as StdError,
    future::Future,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use aws_config::SdkConfig;
use aws_sdk_autoscaling::{
    Client,
    config::Builder,
    error::{ProvideErrorMetadata, SdkError},
};
use tokio::sync::OnceCell;

use crate::aws;

/// Longest wait for one answer.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);

/// A hook is reminded this many times before its patience is over.
const BEATS_PER_TIMEOUT: u32 = 3;

/// The group of an instance.
#[derive(Debug)]
pub struct Group {
    client: Client,
    instance: String,
    membership: OnceCell<Option<Membership>>,
    /// Operations that the role may not call: each is warned of once, and not tried again.
    denied: Mutex<BTreeSet<&'static str>>,
}

#[derive(Debug)]
struct Membership {
    group: String,
    hook: Option<Hook>,
}

#[derive(Debug)]
struct Hook {
    name: String,
    beat: Duration,
}

/// What became of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    Done,
    /// The answer is no, and will be.
    Refused,
    /// Another try may succeed.
    Failed,
}

impl Group {
    pub fn new(aws: &SdkConfig, instance: String) -> Self {
        let timeouts = aws::timeouts(aws, ATTEMPT_TIMEOUT);
        let config = Builder::from(aws).timeout_config(timeouts);
        Self {
            client: Client::from_conf(config.build()),
            instance,
            membership: OnceCell::new(),
            denied: Mutex::default(),
        }
    }

    /// Protects the instance from scale-in, or no more.
    pub async fn protect(&self, is_protected: bool) -> Told {
        let member = match self.membership().await {
            Ok(member) => member,
            Err(told) => return told,
        };
        let call = self.client.set_instance_protection();
        let call = call.auto_scaling_group_name(&member.group);
        let call = call.instance_ids(&self.instance);
        let call = call.protected_from_scale_in(is_protected);
        self.tell("SetInstanceProtection", call.send()).await
    }

    /// Lets the group terminate an instance that waits in its hook.
    pub async fn complete(&self) -> Told {
        let member = match self.membership().await {
            Ok(member) => member,
            Err(told) => return told,
        };
        let Some(hook) = &member.hook else {
            return Told::Done;
        };
        let call = self.client.complete_lifecycle_action();
        let call = call.auto_scaling_group_name(&member.group);
        let call = call.lifecycle_hook_name(&hook.name);
        let call = call.instance_id(&self.instance);
        let call = call.lifecycle_action_result("CONTINUE");
        self.tell("CompleteLifecycleAction", call.send()).await
    }

    /// Asks for another instance in the place of this one.
    pub async fn replace(&self) -> Told {
        let call = self.client.set_instance_health();
        let call = call.instance_id(&self.instance).health_status("Unhealthy");
        let call = call.should_respect_grace_period(false);
        self.tell("SetInstanceHealth", call.send()).await
    }

    /// Reminds the hook, if that is due, that the instance is still busy; `last` is when it was told before.
    pub async fn keep_waiting(&self, last: &mut Option<Instant>) {
        let Ok(member) = self.membership().await else {
            return;
        };
        let Some(hook) = &member.hook else { return };
        // The hook began to wait not long before it was noticed.
        let last = last.get_or_insert_with(Instant::now);
        if last.elapsed() < hook.beat {
            return;
        }
        let call = self.client.record_lifecycle_action_heartbeat();
        let call = call.auto_scaling_group_name(&member.group);
        let call = call.lifecycle_hook_name(&hook.name);
        let call = call.instance_id(&self.instance);
        let told = self.tell("RecordLifecycleActionHeartbeat", call.send());
        if told.await != Told::Failed {
            *last = Instant::now();
        }
    }

    /// Finds the group and its hook; asks until it is known, and then no more.
    async fn membership(&self) -> Result<&Membership, Told> {
        let found = self
            .membership
            .get_or_try_init(|| self.ask_for_membership());
        found.await?.as_ref().ok_or(Told::Refused)
    }

    async fn ask_for_membership(&self) -> Result<Option<Membership>, Told> {
        let call = self.client.describe_auto_scaling_instances();
        let call = call.instance_ids(&self.instance).send();
        let found = self.ask("DescribeAutoScalingInstances", call).await?;
        let Some(group) = found.auto_scaling_instances().first() else {
            tracing::warn!("EC2_LIFECYCLE=on, but the instance is in no auto scaling group");
            return Ok(None);
        };
        let group = group.auto_scaling_group_name().unwrap_or_default();
        let call = self.client.describe_lifecycle_hooks();
        let call = call.auto_scaling_group_name(group).send();
        let hooks = self.ask("DescribeLifecycleHooks", call).await?;
        let hook = hooks.lifecycle_hooks().iter().find(|hook| {
            hook.lifecycle_transition() == Some("autoscaling:EC2_INSTANCE_TERMINATING")
        });
        Ok(Some(Membership {
            group: group.to_owned(),
            hook: hook.map(|hook| {
                let timeout = u64::try_from(hook.heartbeat_timeout().unwrap_or_default());
                Hook {
                    name: hook.lifecycle_hook_name().unwrap_or_default().to_owned(),
                    beat: Duration::from_secs(timeout.unwrap_or_default()) / BEATS_PER_TIMEOUT,
                }
            }),
        }))
    }

    async fn tell<T, E>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, SdkError<E>>>,
    ) -> Told
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        match self.ask(operation, call).await {
            Ok(_) => Told::Done,
            Err(told) => told,
        }
    }

    async fn ask<T, E>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, SdkError<E>>>,
    ) -> Result<T, Told>
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        if self.denied().contains(operation) {
            return Err(Told::Refused);
        }
        let error = match call.await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let told = match error.code() {
            Some("AccessDenied" | "AccessDeniedException") => {
                self.denied().insert(operation);
                tracing::warn!(
                    operation,
                    "not allowed, so this is not done: {:#}",
                    aws::explain(error)
                );
                Told::Refused
            }
            // The instance left the state in which this makes sense: it was chosen, or is gone.
            Some("ValidationError") => {
                tracing::info!(operation, "too late: {:#}", aws::explain(error));
                Told::Refused
            }
            _ => {
                tracing::warn!(
                    operation,
                    "the group was not told: {:#}",
                    aws::explain(error)
                );
                Told::Failed
            }
        };
        Err(told)
    }

    fn denied(&self) -> std::sync::MutexGuard<'_, BTreeSet<&'static str>> {
        self.denied.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
