//! How many files and sockets a process may have open. Debian's soft limit is 1,024 for historical reasons
//! (`select` knows no more), and the hard one 524,288: a program that does not use `select` raises the first to
//! the second (<https://0pointer.net/blog/file-descriptor-limits.html>).

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit of this process to the hard one, and logs both. What it starts inherits that.
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
            "the limit of open files stays as it is"
        ),
    }
}

/// Returns how many files and sockets this process may have open.
pub fn limit() -> usize {
    let limit = getrlimit(Resource::Nofile).current;
    limit
        .and_then(|limit| usize::try_from(limit).ok())
        .unwrap_or(usize::MAX)
}
