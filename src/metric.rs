//! The list of all metrics. Call sites name them by these constants only.

/// Defines a constant for the name of each metric, and [`describe`].
macro_rules! metrics {
    ($($describe:ident!($constant:ident = $name:literal, $help:literal);)*) => {
        $(#[doc = $help] pub const $constant: &str = $name;)*

        /// Gives the installed recorder the help text of every metric.
        pub fn describe() {
            $(metrics::$describe!($constant, $help);)*
        }
    };
}

metrics! {
    describe_counter!(HTTP_REQUESTS = "anb_http_requests_total",
        "Answered requests, by method, route and status.");
    describe_histogram!(HTTP_REQUEST_DURATION = "anb_http_request_duration_seconds",
        "Time until the response begins, by method, route and status.");
    describe_counter!(HTTP_IDLE_CONNECTIONS_CLOSED = "anb_http_idle_connections_closed_total",
        "Idle connections closed because the process had nearly its maximum.");
    describe_counter!(JOBS = "anb_jobs_total",
        "Finished attempts and remakes of a worker, by outcome.");
    describe_histogram!(JOB_DURATION = "anb_job_duration_seconds",
        "Duration of the attempts of a worker, whatever the outcome.");
    describe_gauge!(DEPENDENCY_UP = "anb_dependency_up",
        "Whether the last probe of the dependency succeeded (1) or failed (0).");
    describe_gauge!(VOTES_LAG = "anb_votes_lag_seconds",
        "Age of the oldest vote that no public list shows yet.");
}
