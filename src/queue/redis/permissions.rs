//! Checks that the Redis user may run every command of the queue (`docs/operations.md` lists them).
//! Redis checks permissions before arguments, so harmless, mostly invalid arguments suffice.
//! <https://redis.io/docs/latest/operate/oss_and_stack/management/security/acl/>

use anyhow::{Context as _, ensure};
use deadpool_redis::{
    Connection,
    redis::{RedisError, Value, cmd},
};

use super::{DEAD_STREAM, GROUP, STREAM};

/// An invalid argument where a number is expected.
const NO_NUMBER: &str = "?";

/// Returns an error that names the first command that the user may not run on our keys.
pub async fn check(connection: &mut Connection) -> anyhow::Result<()> {
    let harmless: [&[&str]; 14] = [
        &["XADD", STREAM, "NOMKSTREAM", NO_NUMBER, "field", "value"],
        &[
            "XADD",
            DEAD_STREAM,
            "NOMKSTREAM",
            NO_NUMBER,
            "field",
            "value",
        ],
        &[
            "XREADGROUP",
            "GROUP",
            GROUP,
            "nobody",
            "COUNT",
            NO_NUMBER,
            "STREAMS",
            STREAM,
            ">",
        ],
        &["XAUTOCLAIM", STREAM, GROUP, "nobody", NO_NUMBER, "0-0"],
        &["XACK", STREAM, GROUP, "0-0"],
        &["XDEL", STREAM, "0-0"],
        &["XCLAIM", STREAM, GROUP, "nobody", NO_NUMBER, "0-0"],
        &["XLEN", STREAM],
        &["XLEN", DEAD_STREAM],
        &["XPENDING", STREAM, GROUP],
        &["XRANGE", DEAD_STREAM, "-", "+", "COUNT", "1"],
        &["XGROUP", "CREATE", STREAM, GROUP, NO_NUMBER],
        &["XGROUP", "DELCONSUMER", STREAM, GROUP, ""],
        &["XINFO", "CONSUMERS", STREAM, GROUP],
    ];
    for words in harmless {
        let mut command = cmd(words.first().copied().unwrap_or_default());
        command.arg(words.get(1..).unwrap_or_default());
        let answer: Result<Value, RedisError> = command.query_async(connection).await;
        check_reply(
            &words.iter().take(2).copied().collect::<Vec<_>>().join(" "),
            answer,
        )?;
    }
    // Sent separately, because the client does not expect a transaction's first command to fail.
    for command in ["MULTI", "EXEC"] {
        check_reply(command, cmd(command).query_async(connection).await)?;
    }
    Ok(())
}

/// Fails if the permission is missing or the connection failed. Rejected arguments are fine.
fn check_reply(command: &str, answer: Result<Value, RedisError>) -> anyhow::Result<()> {
    let Err(error) = answer else { return Ok(()) };
    ensure!(
        error.code() != Some("NOPERM"),
        "REDIS_URL: the user may not run {command}"
    );
    if error.is_io_error() || error.is_timeout() || error.is_connection_dropped() {
        return Err(error).context("check the Redis user's permissions");
    }
    Ok(())
}
