//! Logging and metrics. Each process has one subscriber, which writes text or JSON to standard
//! error, and one recorder, which `/metrics` reads.

use std::{fmt, io::IsTerminal as _, sync::LazyLock};

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    EnvFilter, Layer,
    fmt::layer,
    layer::{Context, SubscriberExt as _},
    util::SubscriberInitExt as _,
};

use crate::{
    config::log::{LogFormat, Settings},
    metric,
};

/// Libraries whose `info` logs are irrelevant here; the filter of the settings can override this.
const QUIET: &str = "actix_server=warn";

/// The module of Actix that reads and writes connections.
const ACTIX_CONNECTION: &str = "actix_http::h1::dispatcher";

/// Installs the process's subscriber. Returns an error if the filter is invalid or a subscriber is
/// already installed.
pub fn init(settings: &Settings) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(format!("{QUIET},{}", settings.log))
        .map_err(|error| anyhow::anyhow!("RUST_LOG={}: {error}", settings.log))?;
    let registry = tracing_subscriber::registry()
        .with(filter)
        .with(IgnoreBrokenConnections);
    match settings.log_format {
        LogFormat::Text => {
            let layer = layer().with_ansi(std::io::stderr().is_terminal());
            registry
                .with(layer.with_writer(std::io::stderr))
                .try_init()?;
        }
        LogFormat::Json => {
            let layer = layer()
                .json()
                .flatten_event(true)
                .with_current_span(true)
                .with_span_list(false)
                .with_writer(std::io::stderr);
            registry.with(layer).try_init()?;
        }
    }
    Ok(())
}

/// Drops what Actix logs as an error when a client sends a malformed head or disconnects. Otherwise
/// strangers could fill the log, and trigger alarms on errors.
struct IgnoreBrokenConnections;

impl<S: Subscriber> Layer<S> for IgnoreBrokenConnections {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        let metadata = event.metadata();
        if *metadata.level() != Level::ERROR || metadata.target() != ACTIX_CONNECTION {
            return true;
        }
        let mut message = Message::default();
        event.record(&mut message);
        !message.0.starts_with("stream error: ")
    }
}

/// The text of an event.
#[derive(Default)]
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

/// Histogram buckets (s), from a cached response to a long upload or job.
const BUCKETS: [f64; 12] = [
    0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0,
];

static METRICS: LazyLock<PrometheusHandle> = LazyLock::new(|| {
    let builder = PrometheusBuilder::new();
    let recorder =
        match builder.set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS) {
            Ok(builder) => builder.build_recorder(),
            // Only an empty list of buckets is an error.
            Err(_) => PrometheusBuilder::new().build_recorder(),
        };
    let handle = recorder.handle();
    if metrics::set_global_recorder(recorder).is_err() {
        tracing::warn!("another metrics recorder is installed: /metrics stays empty");
    }
    metric::describe();
    handle
});

/// Returns the metrics of the process. The first call starts recording.
pub fn metrics() -> &'static PrometheusHandle {
    &METRICS
}
