//! Keeps this process, and the program that it becomes, to the files it is given and to itself:
//! Landlock for files, seccomp for all else.
//!
//! All or nothing: a kernel without Landlock or seccomp is an error, and the caller decides what
//! follows. What newer kernels add (Landlock for TCP, devices, signals) is taken where it exists;
//! the list of system calls closes the same holes on older ones.

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

/// Where shared libraries and the dynamic loader live; what a system lacks is passed over.
const LIBRARIES: [&str; 6] = [
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/etc/ld.so.cache",
];

/// The oldest kernel interface that knows all the rules used here (Linux 6.12).
const NEWEST: ABI = ABI::V6;

/// Gives up everything but `program`, its libraries, reading `read` and writing in `write`.
pub fn enter(program: &Path, read: &[PathBuf], write: Option<&Path>) -> anyhow::Result<()> {
    restrict_files(program, read, write)?;
    restrict_calls().context("filter system calls")
}

/// Version of the running kernel's Landlock, `none` without it.
pub fn landlock_version() -> String {
    // Asks for no restriction: the only public way to the version.
    let asked = RestrictSelf::default().no_new_privs(false).apply();
    match asked.map(|answer| answer.landlock) {
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
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?
        .add_rules(path_beneath_rules(LIBRARIES, AccessFs::from_read(NEWEST)))?
        .add_rules(rules.into_iter().map(anyhow::Ok))?
        .restrict_self()?;
    ensure!(
        status.ruleset != RulesetStatus::NotEnforced,
        "the kernel does not enforce Landlock"
    );
    Ok(())
}

/// Answers every call that decoding and encoding do not need as if the kernel did not know it.
///
/// So no socket, no `io_uring`, no other process (by `clone`, `ptrace` or a signal), no change of
/// an owner or a mode, no new namespace, and no call that is yet to be invented. `ENOSYS` makes the C
/// library fall back where it can. A call of another architecture kills.
fn restrict_calls() -> anyhow::Result<()> {
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    let unknown = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    let mut rules: BTreeMap<_, _> = CALLS.iter().map(|call| (*call, vec![])).collect();
    let thread = u64::try_from(libc::CLONE_THREAD)?;
    for (call, argument, condition) in [
        (libc::SYS_clone, thread, SeccompCmpOp::MaskedEq(thread)),
        // Its own limits, no other process's.
        (libc::SYS_prlimit64, 0, SeccompCmpOp::Eq),
    ] {
        let condition = SeccompCondition::new(0, SeccompCmpArgLen::Qword, condition, argument)?;
        rules.insert(call, vec![SeccompRule::new(vec![condition])?]);
    }
    let filter = SeccompFilter::new(rules, unknown, SeccompAction::Allow, arch)?;
    seccompiler::apply_filter(&BpfProgram::try_from(filter)?)?;
    Ok(())
}

/// System calls without conditions. `execve` is the launcher's own; what it may start is Landlock's
/// matter.
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
