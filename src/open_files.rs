//! The limit of open files and sockets. On Debian, the soft limit is 1,024, because `select`
//! supports no more, and the hard limit 524,288. Programs that do not use `select` should raise the
//! soft limit to the hard one (<https://0pointer.net/blog/file-descriptor-limits.html>).

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit of this process to the hard one and logs both. Child processes inherit it.
pub fn raise() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => tracing::info!(
            soft = current,
            hard = maximum,
            "raised the limit of open files"
        ),
        Err(error) => tracing::warn!(
            soft = current,
            hard = maximum,
            %error,
            "cannot raise the limit of open files"
        ),
    }
}

/// Returns the maximum number of open files and sockets of this process.
pub fn limit() -> usize {
    let limit = getrlimit(Resource::Nofile).current;
    limit
        .and_then(|limit| usize::try_from(limit).ok())
        .unwrap_or(usize::MAX)
}
