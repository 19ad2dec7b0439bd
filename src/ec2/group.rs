//! The calls of an instance to its Auto Scaling group.

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

/// Maximum duration of one attempt of a call.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);

/// Number of heartbeats within the timeout of a lifecycle hook.
const HEARTBEATS_PER_TIMEOUT: u32 = 3;

/// The Auto Scaling group of an instance.
#[derive(Debug)]
pub struct AutoScalingGroup {
    client: Client,
    instance: String,
    membership: OnceCell<Option<Membership>>,
    /// Operations that the role may not call; each is logged once and not retried.
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
    heartbeat: Duration,
}

/// The result of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallResult {
    Done,
    /// Rejected permanently.
    Rejected,
    /// A retry may succeed.
    Failed,
}

impl AutoScalingGroup {
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

    /// Turns the scale-in protection of the instance on or off.
    pub async fn protect(&self, is_protected: bool) -> CallResult {
        let member = match self.membership().await {
            Ok(member) => member,
            Err(result) => return result,
        };
        let call = self.client.set_instance_protection();
        let call = call.auto_scaling_group_name(&member.group);
        let call = call.instance_ids(&self.instance);
        let call = call.protected_from_scale_in(is_protected);
        self.send("SetInstanceProtection", call.send()).await
    }

    /// Lets the group terminate an instance that waits in its lifecycle hook.
    pub async fn complete(&self) -> CallResult {
        let member = match self.membership().await {
            Ok(member) => member,
            Err(result) => return result,
        };
        let Some(hook) = &member.hook else {
            return CallResult::Done;
        };
        let call = self.client.complete_lifecycle_action();
        let call = call.auto_scaling_group_name(&member.group);
        let call = call.lifecycle_hook_name(&hook.name);
        let call = call.instance_id(&self.instance);
        let call = call.lifecycle_action_result("CONTINUE");
        self.send("CompleteLifecycleAction", call.send()).await
    }

    /// Requests a replacement for this instance.
    pub async fn replace(&self) -> CallResult {
        let call = self.client.set_instance_health();
        let call = call.instance_id(&self.instance).health_status("Unhealthy");
        let call = call.should_respect_grace_period(false);
        self.send("SetInstanceHealth", call.send()).await
    }

    /// Sends a heartbeat to the lifecycle hook if one is due. `last` is the previous one's time.
    pub async fn send_heartbeat(&self, last: &mut Option<Instant>) {
        let Ok(member) = self.membership().await else {
            return;
        };
        let Some(hook) = &member.hook else { return };
        // The hook started shortly before its detection.
        let last = last.get_or_insert_with(Instant::now);
        if last.elapsed() < hook.heartbeat {
            return;
        }
        let call = self.client.record_lifecycle_action_heartbeat();
        let call = call.auto_scaling_group_name(&member.group);
        let call = call.lifecycle_hook_name(&hook.name);
        let call = call.instance_id(&self.instance);
        let result = self.send("RecordLifecycleActionHeartbeat", call.send());
        if result.await != CallResult::Failed {
            *last = Instant::now();
        }
    }

    /// Returns the group and its lifecycle hook, which are fetched once.
    async fn membership(&self) -> Result<&Membership, CallResult> {
        let found = self.membership.get_or_try_init(|| self.fetch_membership());
        found.await?.as_ref().ok_or(CallResult::Rejected)
    }

    async fn fetch_membership(&self) -> Result<Option<Membership>, CallResult> {
        let call = self.client.describe_auto_scaling_instances();
        let call = call.instance_ids(&self.instance).send();
        let found = self.request("DescribeAutoScalingInstances", call).await?;
        let Some(group) = found.auto_scaling_instances().first() else {
            tracing::warn!("EC2_LIFECYCLE=on, but the instance is in no auto scaling group");
            return Ok(None);
        };
        let group = group.auto_scaling_group_name().unwrap_or_default();
        let call = self.client.describe_lifecycle_hooks();
        let call = call.auto_scaling_group_name(group).send();
        let hooks = self.request("DescribeLifecycleHooks", call).await?;
        let hook = hooks.lifecycle_hooks().iter().find(|hook| {
            hook.lifecycle_transition() == Some("autoscaling:EC2_INSTANCE_TERMINATING")
        });
        Ok(Some(Membership {
            group: group.to_owned(),
            hook: hook.map(|hook| {
                let timeout = u64::try_from(hook.heartbeat_timeout().unwrap_or_default());
                Hook {
                    name: hook.lifecycle_hook_name().unwrap_or_default().to_owned(),
                    heartbeat: Duration::from_secs(timeout.unwrap_or_default())
                        / HEARTBEATS_PER_TIMEOUT,
                }
            }),
        }))
    }

    async fn send<T, E>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, SdkError<E>>>,
    ) -> CallResult
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        match self.request(operation, call).await {
            Ok(_) => CallResult::Done,
            Err(result) => result,
        }
    }

    async fn request<T, E>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, SdkError<E>>>,
    ) -> Result<T, CallResult>
    where
        E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
    {
        if self.denied().contains(operation) {
            return Err(CallResult::Rejected);
        }
        let error = match call.await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        let result = match error.code() {
            Some("AccessDenied" | "AccessDeniedException") => {
                self.denied().insert(operation);
                tracing::warn!(
                    operation,
                    "permission denied, operation skipped: {:#}",
                    aws::explain(error)
                );
                CallResult::Rejected
            }
            // The instance is no longer in the required state: it is being or has been terminated.
            Some("ValidationError") => {
                tracing::info!(operation, "not applicable: {:#}", aws::explain(error));
                CallResult::Rejected
            }
            _ => {
                tracing::warn!(
                    operation,
                    "Auto Scaling call failed: {:#}",
                    aws::explain(error)
                );
                CallResult::Failed
            }
        };
        Err(result)
    }

    fn denied(&self) -> std::sync::MutexGuard<'_, BTreeSet<&'static str>> {
        self.denied.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
