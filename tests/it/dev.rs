//! The development servers keep their data, leave nothing behind and never share a folder.

mod holder;

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anb::dev::{Options, Services};
use deadpool_redis::redis;
use rustix::process::Signal;
use tempfile::TempDir;
use tokio_postgres::NoTls;

use self::holder::{HELD_DIR, Holder, is_alive, kill, test_binary};
use crate::support::eventually;

#[tokio::test]
async fn both_servers_keep_their_data_after_a_stop() {
    let dir = tempfile::tempdir().unwrap();
    let services = start(dir.path()).await;
    write(&services, "kept").await;
    services.stop().await;

    let services = start(dir.path()).await;
    assert_eq!(read(&services).await, ("kept".into(), "kept".into()));
    services.stop().await;
}

#[tokio::test]
async fn stop_leaves_no_process_or_socket() {
    let dir = tempfile::tempdir().unwrap();
    let services = start(dir.path()).await;
    let (ids, sockets) = (ids(&services), sockets(&services));
    services.stop().await;
    assert!(!ids.iter().any(|id| is_alive(*id)), "{ids:?} still run");
    assert!(!sockets.exists(), "{} still exists", sockets.display());
}

#[tokio::test]
async fn killed_servers_are_reported_and_restart_with_their_data() {
    let dir = tempfile::tempdir().unwrap();
    let mut services = start(dir.path()).await;
    write(&services, "kept").await;
    for id in ids(&services) {
        kill(Signal::KILL, id);
    }
    let reason = services.failed().await.to_string();
    assert!(reason.contains("ended (signal: 9 (SIGKILL))"), "{reason}");
    services.stop().await;

    let services = start(dir.path()).await;
    assert_eq!(read(&services).await, ("kept".into(), "kept".into()));
    services.stop().await;
}

#[test]
fn servers_outlive_the_thread_that_started_them() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut services = std::thread::scope(|scope| {
        scope
            .spawn(|| runtime.block_on(start(dir.path())))
            .join()
            .unwrap()
    });
    runtime.block_on(async {
        let ended = tokio::time::timeout(Duration::from_millis(500), services.failed()).await;
        assert!(ended.is_err(), "{ended:?}");
        services.stop().await;
    });
}

#[tokio::test]
async fn servers_end_with_their_killed_parent_and_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut holder = Holder::start(&test_binary(), dir.path());
    let ids = holder.ids;
    holder.kill();
    eventually("the servers end with their parent", 60, async || {
        !ids.iter().any(|id| is_alive(*id))
    })
    .await;

    let services = start(dir.path()).await;
    assert_eq!(read(&services).await, ("held".into(), "held".into()));
    services.stop().await;
}

#[tokio::test]
async fn servers_that_survived_their_parent_are_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let mut holder = Holder::start(&test_binary(), dir.path());
    let ids = holder.ids;
    // Stopped processes do not act on the kernel's death signal, so the next run finds survivors.
    for id in ids {
        kill(Signal::STOP, id);
    }
    holder.kill();
    let claimed = async || {
        fs::read_to_string(dir.path().join("lock")).unwrap().trim()
            == std::process::id().to_string()
    };
    let resumed = async {
        eventually("the next run has claimed the folder", 60, claimed).await;
        for id in ids {
            kill(Signal::CONT, id);
        }
    };
    let (services, ()) = tokio::join!(start(dir.path()), resumed);
    assert!(!ids.iter().any(|id| is_alive(*id)), "{ids:?} still run");
    assert_eq!(read(&services).await, ("held".into(), "held".into()));
    services.stop().await;
}

#[tokio::test]
async fn long_path_with_special_characters_works() {
    let dir = tempfile::tempdir().unwrap();
    let long = dir
        .path()
        .join("d'une \"très\" longue %20 path ".repeat(6))
        .join("-100% 'a\"b\\ [x]*? a:b,c;d #$HOME\n{}|🏀 ".repeat(3));
    for value in ["first", "second"] {
        let services = start(&long).await;
        write(&services, value).await;
        assert_eq!(read(&services).await, (value.into(), value.into()));
        services.stop().await;
    }
}

#[tokio::test]
async fn folder_in_use_is_rejected_and_another_works() {
    let dir = tempfile::tempdir().unwrap();
    let first = start(&dir.path().join("one")).await;
    let refusal = Services::start(&Options::durable(dir.path().join("one")))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        refusal.contains(&format!("in use by process {}", std::process::id())),
        "{refusal}"
    );

    let second = start(&dir.path().join("two")).await;
    write(&first, "first").await;
    write(&second, "second").await;
    assert_eq!(read(&first).await, ("first".into(), "first".into()));
    tokio::join!(first.stop(), second.stop());
}

#[tokio::test]
async fn interrupted_initdb_is_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let unfinished = dir.path().join("initdb-123");
    fs::create_dir(&unfinished).unwrap();
    fs::write(unfinished.join("PG_VERSION"), "15\n").unwrap();
    let services = start(dir.path()).await;
    assert!(!unfinished.exists());
    services.stop().await;
}

#[tokio::test]
async fn data_of_another_version_is_rejected_with_the_remedy() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("postgres")).unwrap();
    fs::write(dir.path().join("postgres/PG_VERSION"), "9\n").unwrap();
    let refusal = Services::start(&Options::durable(dir.path()))
        .await
        .unwrap_err()
        .to_string();
    assert!(refusal.contains("install postgresql-9"), "{refusal}");
}

#[tokio::test]
async fn failed_start_quotes_the_server_log() {
    let dir = tempfile::tempdir().unwrap();
    start(dir.path()).await.stop().await;
    fs::write(
        dir.path()
            .join("redis/appendonlydir/appendonly.aof.manifest"),
        "rubbish\n",
    )
    .unwrap();
    let refusal = Services::start(&Options::durable(dir.path()))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        refusal.contains("Redis ended") && refusal.contains("logs/redis.log"),
        "{refusal}"
    );
}

#[tokio::test]
async fn throwaway_data_is_removed_on_stop() {
    let options = Options::throwaway().unwrap();
    let services = Services::start(&options).await.unwrap();
    write(&services, "gone").await;
    let sockets = sockets(&services);
    services.stop().await;
    assert!(!options.data_dir.exists() && !sockets.exists());
}

#[tokio::test]
async fn throwaway_data_is_removed_after_a_kill() {
    let mut holder = Holder::start(&test_binary(), Path::new(""));
    let (ids, dir, sockets) = (holder.ids, holder.dir.clone(), holder.sockets.clone());
    assert!(dir.exists());
    holder.kill();
    eventually("the servers end", 60, async || {
        !ids.iter().any(|id| is_alive(*id))
    })
    .await;
    eventually("the folders are removed", 60, async || {
        !dir.exists() && !sockets.exists()
    })
    .await;
}

#[tokio::test]
async fn unprivileged_user_can_start_in_a_private_home() {
    let Some(nobody) = as_root() else { return };
    let home = dir_with_mode(0o700);
    chown(home.path(), Some(nobody), Some(nobody)).unwrap();
    let binary_dir = dir_with_mode(0o755);
    let binary = binary_dir.path().join("it");
    // Copied by another process. Programs that other tests start inherit a file that this process
    // holds open for writing, and it cannot be executed until they close it.
    let copied = Command::new("cp").arg(test_binary()).arg(&binary).status();
    assert!(copied.unwrap().success());
    let mut holder = Holder::start_as(nobody, &binary, &home.path().join(".anb"));
    assert_eq!(owner(&holder.dir.join("postgres")), nobody);
    holder.kill();
    let (ids, sockets) = (holder.ids, holder.sockets.clone());
    eventually("the servers end", 60, async || {
        !ids.iter().any(|id| is_alive(*id))
    })
    .await;
    fs::remove_dir_all(sockets).unwrap();
}

#[tokio::test]
async fn root_owns_its_files_in_a_private_folder() {
    if as_root().is_none() {
        return;
    }
    if !Command::new("unshare")
        .args(["--user", "true"])
        .status()
        .unwrap()
        .success()
    {
        println!("skipped: this machine forbids user namespaces");
        return;
    }
    let dir = dir_with_mode(0o700);
    let services = start(dir.path()).await;
    assert_eq!(owner(&dir.path().join("postgres/base")), 0);
    services.stop().await;
}

#[tokio::test]
async fn root_uses_the_postgres_account_if_a_namespace_has_no_access() {
    let Some(nobody) = as_root() else { return };
    let dir = dir_with_mode(0o700);
    chown(dir.path(), Some(nobody), None).unwrap();
    let data_dir = dir.path().join(".anb");
    for value in ["first", "second"] {
        let services = start(&data_dir).await;
        write(&services, value).await;
        services.stop().await;
    }
    let data = fs::read_link(data_dir.join("postgres")).unwrap();
    assert_ne!(owner(&data), 0);
    fs::remove_dir_all(data).unwrap();
}

/// Run by `Holder` as a separate process.
#[tokio::test]
#[ignore = "holds the servers for other tests"]
async fn hold() {
    let Some(dir) = std::env::var_os(HELD_DIR) else {
        return;
    };
    let options = if dir.is_empty() {
        Options::throwaway().unwrap()
    } else {
        Options::durable(PathBuf::from(dir))
    };
    let services = Services::start(&options).await.unwrap();
    write(&services, "held").await;
    let [postgres, redis] = ids(&services);
    println!(
        "held\t{postgres}\t{redis}\t{}\t{}",
        options.data_dir.display(),
        sockets(&services).display()
    );
    std::future::pending::<()>().await;
}

async fn start(dir: &Path) -> Services {
    Services::start(&Options::durable(dir))
        .await
        .unwrap_or_else(|err| panic!("{err:#}"))
}

async fn write(services: &Services, value: &str) {
    let sql = format!(
        "CREATE TABLE IF NOT EXISTS kept (value text); DELETE FROM kept; INSERT INTO kept VALUES ('{value}')"
    );
    postgres(services, async |client| {
        client.batch_execute(&sql).await.unwrap();
    })
    .await;
    redis_query(services, &["SET", "kept", value]).await;
}

async fn read(services: &Services) -> (String, String) {
    let row = async |client: tokio_postgres::Client| {
        client
            .query_one("SELECT value FROM kept", &[])
            .await
            .unwrap()
    };
    let value = redis_query(services, &["GET", "kept"]).await;
    (
        postgres(services, row).await.get(0),
        redis::from_redis_value(value).unwrap(),
    )
}

async fn postgres<T>(services: &Services, act: impl AsyncFnOnce(tokio_postgres::Client) -> T) -> T {
    let (client, connection) = tokio_postgres::connect(&services.postgres.url(), NoTls)
        .await
        .unwrap();
    let (result, _) = tokio::join!(act(client), connection);
    result
}

async fn redis_query(services: &Services, words: &[&str]) -> redis::Value {
    let mut command = redis::Cmd::new();
    command.arg(words);
    let client = redis::Client::open(services.redis.url()).unwrap();
    let config =
        redis::AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_secs(10)));
    let mut connection = client
        .get_multiplexed_async_connection_with_config(&config)
        .await
        .unwrap();
    command.query_async(&mut connection).await.unwrap()
}

fn ids(services: &Services) -> [u32; 2] {
    [
        services.postgres.id().unwrap(),
        services.redis.id().unwrap(),
    ]
}

fn sockets(services: &Services) -> PathBuf {
    let url = services.redis.url();
    Path::new(url.strip_prefix("redis+unix://").unwrap())
        .parent()
        .unwrap()
        .into()
}

fn owner(path: &Path) -> u32 {
    std::os::unix::fs::MetadataExt::uid(&fs::metadata(path).unwrap())
}

fn dir_with_mode(mode: u32) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(mode)).unwrap();
    dir
}

/// Returns the id of the user `nobody` if this process may start others as that user.
fn as_root() -> Option<u32> {
    let root = owner(Path::new("/proc/self")) == 0;
    if !root {
        println!("skipped: only root can start a process as another user");
    }
    root.then_some(65534)
}
