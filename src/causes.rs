//! Errors in one line, for human readers.

/// Returns an error with its causes in one line, without repetitions: libraries often include the
/// text of a cause in their own.
pub fn line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain() {
        let words = cause.to_string();
        let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
        if line.contains(&words) {
            continue;
        }
        if !line.is_empty() {
            line.push_str(": ");
        }
        line.push_str(&words);
    }
    line
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn repeated_causes_appear_once() {
        let refused = || anyhow!("connection refused");
        let plain = refused().context("connect");
        assert_eq!(line(&plain), "connect: connection refused");
        let twice = refused()
            .context("cannot connect: connection refused")
            .context("count");
        assert_eq!(line(&twice), "count: cannot connect: connection refused");
    }

    #[test]
    fn multi_line_errors_become_one_line() {
        let error = anyhow!("no such role\n  DETAIL: none").context("connect");
        assert_eq!(line(&error), "connect: no such role DETAIL: none");
    }
}
