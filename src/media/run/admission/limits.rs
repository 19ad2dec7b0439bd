//! Finds the memory that this process may use: the machine's, or less if a control group limits it.
//!
//! Containers are control groups, and so are systemd units with `MemoryMax=`. A limit also applies
//! to all groups below, so every ancestor counts.

use std::{fs, path::Path};

use crate::media::run::proc::memory;

/// Mount point of both versions of control groups (cgroups(7)).
const CGROUPS: &str = "/sys/fs/cgroup";

/// Version 1 reports the maximum number of pages for "no limit"; no machine has an exbibyte.
const NO_LIMIT: u64 = 1 << 60;

/// Returns the bytes that this process may use, or none if they are unknown.
pub fn process_memory_limit() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok();
    let machine = machine.and_then(|text| memory(&text, "MemTotal:"));
    let membership = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let group = of_groups(Path::new(CGROUPS), &membership);
    machine.into_iter().chain(group).min()
}

/// Returns the smallest limit of the groups in `membership` (in the format of `/proc/self/cgroup`)
/// and of their ancestors. `root` is the mount point.
fn of_groups(root: &Path, membership: &str) -> Option<u64> {
    let groups = membership.lines().filter_map(|line| {
        // A path may contain colons.
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        if controllers.is_empty() {
            smallest(root, path, "memory.max")
        } else if controllers.split(',').any(|name| name == "memory") {
            smallest(&root.join("memory"), path, "memory.limit_in_bytes")
        } else {
            None
        }
    });
    groups.min()
}

/// Returns the smallest limit of a group and its ancestors up to `mount`. In a container that is
/// its own group, whether the path begins there or contains folders that only the host sees.
fn smallest(mount: &Path, path: &str, file: &str) -> Option<u64> {
    // The path of a group outside the mounted hierarchy begins with `/..`.
    let path = if path.split('/').any(|name| name == "..") {
        ""
    } else {
        path.trim_start_matches('/')
    };
    let groups = Path::new(path).ancestors();
    let limits = groups.filter_map(|group| {
        let text = fs::read_to_string(mount.join(group).join(file)).ok()?;
        let bytes = text.trim().parse().ok()?;
        (bytes < NO_LIMIT).then_some(bytes)
    });
    limits.min()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the limit of a process in `membership`, given these files.
    fn limit(membership: &str, files: &[(&str, &str)]) -> Option<u64> {
        let root = tempfile::tempdir().unwrap();
        for (file, text) in files {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("{text}\n")).unwrap();
        }
        of_groups(root.path(), membership)
    }

    #[test]
    fn version_2_counts_every_ancestor() {
        let unit = "0::/system.slice/system-anb.slice/anb@1.service\n";
        for (files, expected) in [
            (&[][..], None),
            (&[("memory.max", "max")], None),
            // A container that sees its own group as the root, or the whole tree of its host.
            (&[("memory.max", "3000")], Some(3000)),
            (
                &[
                    ("system.slice/memory.max", "max"),
                    ("system.slice/system-anb.slice/memory.max", "max"),
                    (
                        "system.slice/system-anb.slice/anb@1.service/memory.max",
                        "3000",
                    ),
                ],
                Some(3000),
            ),
            (
                &[
                    ("system.slice/memory.max", "9000"),
                    ("system.slice/system-anb.slice/memory.max", "2000"),
                    (
                        "system.slice/system-anb.slice/anb@1.service/memory.max",
                        "max",
                    ),
                ],
                Some(2000),
            ),
            (
                &[
                    ("system.slice/memory.max", "1000"),
                    (
                        "system.slice/system-anb.slice/anb@1.service/memory.max",
                        "3000",
                    ),
                ],
                Some(1000),
            ),
            // The limit of an unrelated group.
            (&[("user.slice/memory.max", "3000")], None),
            (&[("system.slice/memory.max", "no number")], None),
        ] {
            assert_eq!(limit(unit, files), expected, "{files:?}");
        }
    }

    #[test]
    fn version_1_has_a_hierarchy_for_memory() {
        let container = "12:pids:/a\n4:cpu,memory:/docker/0a1b\n1:name=systemd:/a\n0::/\n";
        let unlimited = "9223372036854771712";
        for (files, expected) in [
            (&[][..], None),
            (&[("memory/memory.limit_in_bytes", unlimited)], None),
            // A container sees its own group at the root, but the path is the host's.
            (&[("memory/memory.limit_in_bytes", "3000")], Some(3000)),
            (
                &[
                    ("memory/memory.limit_in_bytes", unlimited),
                    ("memory/docker/memory.limit_in_bytes", "4000"),
                    ("memory/docker/0a1b/memory.limit_in_bytes", "5000"),
                ],
                Some(4000),
            ),
            // The hierarchy of another controller, and a file of the other version.
            (&[("pids/a/memory.limit_in_bytes", "3000")], None),
            (&[("memory/docker/0a1b/memory.max", "3000")], None),
        ] {
            assert_eq!(limit(container, files), expected, "{files:?}");
        }
    }

    #[test]
    fn unusual_memberships_are_handled() {
        let files = [("memory.max", "3000"), ("a:b/memory.max", "2000")];
        for (membership, expected) in [
            ("", None),
            ("rubbish\n0:\n::\n", Some(3000)),
            ("0::/\n", Some(3000)),
            ("0::/a:b\n", Some(2000)),
            // For a group outside this namespace only the root is known.
            ("0::/../a:b\n", Some(3000)),
            ("0::/gone (deleted)\n", Some(3000)),
        ] {
            assert_eq!(limit(membership, &files), expected, "{membership:?}");
        }
    }

    #[test]
    fn memory_of_this_process_is_known() {
        assert!(process_memory_limit().unwrap() > 100 * 1024 * 1024);
    }
}
