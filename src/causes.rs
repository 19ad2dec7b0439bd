//! Errors in one line, for people.

/// Returns an error with its causes in one line, each said once: libraries often repeat the text of a cause in
/// their own.
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
    fn a_cause_is_said_once() {
        let refused = || anyhow!("connection refused");
        let plain = refused().context("connect");
        assert_eq!(line(&plain), "connect: connection refused");
        let twice = refused()
            .context("cannot connect: connection refused")
            .context("count");
        assert_eq!(line(&twice), "count: cannot connect: connection refused");
    }

    #[test]
    fn an_error_of_several_lines_becomes_one() {
        let error = anyhow!("no such role\n  DETAIL: none").context("connect");
        assert_eq!(line(&error), "connect: no such role DETAIL: none");
    }
}
