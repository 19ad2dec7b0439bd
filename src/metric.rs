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
    describe_counter!(MEDIA_FAULTS = "anb_media_faults_total",
        "Attempts that made no clip of a source although it decodes: a fault of this program.");
    describe_gauge!(DEPENDENCY_UP = "anb_dependency_up",
        "Whether the last probe of the dependency succeeded (1) or failed (0).");
    describe_counter!(UPLOADS = "anb_uploads_total",
        "Ended uploads, by kind (form or resumable) and outcome.");
    describe_gauge!(UPLOADS_OPEN = "anb_uploads_open",
        "Requests of resumable uploads that the process is receiving.");
    describe_counter!(UPLOAD_RESUMES = "anb_upload_resumes_total",
        "Unfinished uploads whose offset was asked for, so that they continue.");
    describe_counter!(UPLOAD_BYTES = "anb_upload_bytes_total",
        "Received bytes of resumable uploads: new, or again because they were not yet durable.");
    describe_counter!(UPLOADS_FENCED = "anb_upload_fenced_total",
        "Requests of resumable uploads that ended because a newer one took over.");
    describe_histogram!(UPLOAD_CHECKPOINT = "anb_upload_checkpoint_seconds",
        "Time until durable bytes of a resumable upload were recorded.");
    describe_gauge!(VOTES_LAG = "anb_votes_lag_seconds",
        "Age of the oldest vote that no public list shows yet.");
}
