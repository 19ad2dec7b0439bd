//! Restricts this process, and the program that it `exec`s, with Landlock for files and seccomp
//! for everything else.
//!
//! A kernel without Landlock or seccomp is an error, which the caller handles. Features of newer
//! kernels (Landlock for TCP, devices, signals) are used where available; on older kernels the
//! system call filter closes the same gaps.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::{Context, ensure};
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, LandlockStatus,
    PathBeneath, PathFd, RestrictSelf, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus,
    Scope, make_bitflags, path_beneath_rules,
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

/// Locations of shared libraries and the dynamic loader; missing ones are skipped.
const LIBRARIES: [&str; 6] = [
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/etc/ld.so.cache",
];

/// The oldest Landlock ABI that supports all rules used here (Linux 6.12).
const TARGET_ABI: ABI = ABI::V6;

/// Restricts files to `program`, its libraries, `read` and `write`, and filters system calls.
pub fn enter(program: &Path, read: &[PathBuf], write: Option<&Path>) -> anyhow::Result<()> {
    restrict_files(program, read, write)?;
    restrict_calls().context("filter system calls")
}

/// Returns the Landlock version of the running kernel, or `none`.
pub fn landlock_version() -> String {
    // The crate exposes the version only through `apply`, here without any restriction.
    let status = RestrictSelf::default().no_new_privs(false).apply();
    match status.map(|status| status.landlock) {
        Ok(LandlockStatus::Available { effective_abi, .. }) => effective_abi.to_string(),
        _ => "none".to_owned(),
    }
}

fn restrict_files(program: &Path, read: &[PathBuf], write: Option<&Path>) -> anyhow::Result<()> {
    let rule = |path: &Path, access: BitFlags<AccessFs>| {
        let opened = PathFd::new(path);
        opened.map(|opened| PathBeneath::new(opened, access))
    };
    let run = make_bitflags!(AccessFs::{Execute | ReadFile});
    let make = make_bitflags!(AccessFs::{ReadFile | WriteFile | MakeReg | Truncate});
    let mut rules = vec![rule(program, run)?];
    for path in read {
        rules.push(rule(path, AccessFs::ReadFile.into())?);
    }
    if let Some(folder) = write {
        rules.push(rule(folder, make)?);
    }
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(ABI::V1))
        .context("the kernel has no Landlock")?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(TARGET_ABI))?
        .handle_access(AccessNet::from_all(TARGET_ABI))?
        .scope(Scope::from_all(TARGET_ABI))?
        .create()?
        .add_rules(path_beneath_rules(
            LIBRARIES,
            AccessFs::from_read(TARGET_ABI),
        ))?
        .add_rules(rules.into_iter().map(anyhow::Ok))?
        .restrict_self()?;
    ensure!(
        status.ruleset != RulesetStatus::NotEnforced,
        "the kernel does not enforce Landlock"
    );
    Ok(())
}

/// Makes every system call that decoding and encoding do not need fail with `ENOSYS`.
///
/// This excludes sockets, `io_uring`, access to other processes (`clone`, `ptrace`, signals),
/// changes of owner or mode, namespaces, and system calls added in the future. `ENOSYS` lets the C
/// library fall back where it can. A call for another architecture kills the process.
fn restrict_calls() -> anyhow::Result<()> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    let unknown = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    let mut rules: BTreeMap<_, _> = CALLS.iter().map(|call| (*call, vec![])).collect();
    let thread = u64::try_from(libc::CLONE_THREAD)?;
    for (call, argument, condition) in [
        (libc::SYS_clone, thread, SeccompCmpOp::MaskedEq(thread)),
        // Only for its own limits, not those of another process.
        (libc::SYS_prlimit64, 0, SeccompCmpOp::Eq),
    ] {
        let condition = SeccompCondition::new(0, SeccompCmpArgLen::Qword, condition, argument)?;
        rules.insert(call, vec![SeccompRule::new(vec![condition])?]);
    }
    let filter = SeccompFilter::new(rules, unknown, SeccompAction::Allow, arch)?;
    seccompiler::apply_filter(&BpfProgram::try_from(filter)?)?;
    Ok(())
}

/// System calls allowed unconditionally. The launcher itself needs `execve`; Landlock restricts
/// what it can execute.
const CALLS: &[i64] = &[
    libc::SYS_brk,
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_close,
    libc::SYS_execve,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_faccessat,
    libc::SYS_fadvise64,
    libc::SYS_fcntl,
    libc::SYS_fstat,
    libc::SYS_ftruncate,
    libc::SYS_futex,
    libc::SYS_getcwd,
    libc::SYS_getdents64,
    libc::SYS_getegid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getpid,
    libc::SYS_getrandom,
    libc::SYS_getrusage,
    libc::SYS_gettid,
    libc::SYS_gettimeofday,
    libc::SYS_getuid,
    libc::SYS_lseek,
    libc::SYS_madvise,
    libc::SYS_membarrier,
    libc::SYS_mmap,
    libc::SYS_mlock,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_nanosleep,
    libc::SYS_newfstatat,
    libc::SYS_openat,
    libc::SYS_ppoll,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_read,
    libc::SYS_readlinkat,
    libc::SYS_readv,
    libc::SYS_restart_syscall,
    libc::SYS_rseq,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_set_robust_list,
    libc::SYS_set_tid_address,
    libc::SYS_sigaltstack,
    libc::SYS_statx,
    libc::SYS_sysinfo,
    libc::SYS_uname,
    libc::SYS_write,
    libc::SYS_writev,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_access,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_arch_prctl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lstat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_open,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_readlink,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_stat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_time,
];
