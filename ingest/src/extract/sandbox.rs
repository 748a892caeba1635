//! Walls around the processes that touch strangers' bytes. Each closes them around itself before the first byte comes.
//!
//! On Linux: no new privileges, no files and no network by landlock, a list of allowed system calls by seccomp, no dump, no
//! descriptors but the three standard ones. Limits on memory and time are set where the request is known. Elsewhere the limits
//! are all there is; [`layers`] says what this machine gives.

/// Which walls this machine gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layers {
    /// Version of the kernel's landlock; 0 where it has none.
    pub landlock: u32,
    /// Whether system calls can be filtered.
    pub seccomp: bool,
}

#[cfg(target_os = "linux")]
pub use linux::{close_around_tool, close_around_worker, layers};

#[cfg(not(target_os = "linux"))]
pub use elsewhere::{close_around_tool, close_around_worker, layers};

#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use std::io;
    use std::path::Path;

    use super::Layers;

    /// Nothing but limits is to be had here.
    pub fn layers() -> Layers {
        Layers { landlock: 0, seccomp: false }
    }

    /// Does nothing here.
    ///
    /// # Errors
    /// None.
    pub fn close_around_worker() -> io::Result<()> {
        Ok(())
    }

    /// Does nothing here.
    ///
    /// # Errors
    /// None.
    pub fn close_around_tool(_program: &Path, _data: &[&Path]) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::BTreeMap;
    use std::io;
    use std::path::{Path, PathBuf};

    use landlock::{
        ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreated,
        RulesetCreatedAttr, Scope,
    };
    use seccompiler::{
        BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
        apply_filter,
    };

    use super::Layers;

    /// The newest landlock that this was written for; older kernels give what they have.
    const NEWEST: ABI = ABI::V6;
    /// Folders that a tool's libraries are in.
    const LIBRARIES: [&str; 4] = ["/lib", "/lib64", "/usr/lib", "/usr/lib64"];
    /// What the loader reads beside them.
    const LOADER: [&str; 2] = ["/etc/ld.so.cache", "/etc/ld.so.preload"];

    /// Which walls this machine gives.
    pub fn layers() -> Layers {
        Layers { landlock: landlock_version(), seccomp: Path::new("/proc/self/seccomp_cache").exists() || has_seccomp() }
    }

    fn has_seccomp() -> bool {
        std::fs::read_to_string("/proc/self/status").is_ok_and(|status| status.contains("Seccomp:"))
    }

    fn landlock_version() -> u32 {
        let versions = [ABI::V1, ABI::V2, ABI::V3, ABI::V4, ABI::V5, ABI::V6];
        let given = versions.into_iter().zip(1_u32..7).rev().find(|(abi, _)| {
            let ruleset = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
            ruleset.handle_access(AccessFs::from_all(*abi)).and_then(Ruleset::create).is_ok()
        });
        given.map_or(0, |(_, number)| number)
    }

    /// Closes the walls around this process, which must have one thread: no files, no network, no other process.
    ///
    /// # Errors
    /// If a wall that the machine offers could not be closed.
    pub fn close_around_worker() -> io::Result<()> {
        close_descriptors();
        hide()?;
        restrict(ruleset()?)?;
        apply(&no_clone3()?)?;
        apply(&filter(allowed()?, SeccompAction::Errno(libc::EPERM as u32), SeccompAction::Allow)?)
    }

    /// Closes the walls around this process, which is about to become a tool: it may read its libraries and its data, and start
    /// nothing but itself.
    ///
    /// # Errors
    /// If a wall that the machine offers could not be closed.
    pub fn close_around_tool(program: &Path, data: &[&Path]) -> io::Result<()> {
        close_descriptors();
        let mut rules = ruleset()?;
        let read = AccessFs::ReadFile | AccessFs::ReadDir;
        let libraries = LIBRARIES.iter().chain(&LOADER).map(Path::new);
        for path in libraries.chain(data.iter().copied()).filter(|path| path.exists()) {
            rules = allow(rules, path, if path.is_dir() { read } else { AccessFs::ReadFile.into() })?;
        }
        for path in [program.to_owned()].into_iter().chain(interpreters()) {
            rules = allow(rules, &path, AccessFs::ReadFile | AccessFs::Execute)?;
        }
        restrict(rules)?;
        apply(&no_clone3()?)?;
        apply(&filter(on_both_tables(forbidden()?), SeccompAction::Allow, SeccompAction::Errno(libc::EPERM as u32))?)
    }

    /// Loaders of programs: the kernel starts one of them to start a program.
    fn interpreters() -> Vec<PathBuf> {
        let named = [
            "/lib64/ld-linux-x86-64.so.2",
            "/lib/ld-linux-aarch64.so.1",
            "/lib/ld-musl-x86_64.so.1",
            "/lib/ld-musl-aarch64.so.1",
        ];
        named.iter().filter_map(|path| std::fs::canonicalize(path).ok()).collect()
    }

    fn ruleset() -> io::Result<RulesetCreated> {
        Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(NEWEST))
            .and_then(|rules| rules.handle_access(AccessNet::from_all(NEWEST)))
            .and_then(|rules| rules.scope(Scope::from_all(NEWEST)))
            .and_then(Ruleset::create)
            .map_err(io::Error::other)
    }

    fn allow(rules: RulesetCreated, path: &Path, access: landlock::BitFlags<AccessFs>) -> io::Result<RulesetCreated> {
        let descriptor = PathFd::new(path).map_err(io::Error::other)?;
        rules.add_rule(PathBeneath::new(descriptor, access)).map_err(io::Error::other)
    }

    /// Also takes away, for good, the chance to gain privileges by starting a program.
    fn restrict(rules: RulesetCreated) -> io::Result<()> {
        rules.restrict_self().map(drop).map_err(io::Error::other)
    }

    /// No dump of memory, and no other process of this user may look into it.
    fn hide() -> io::Result<()> {
        rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable).map_err(io::Error::from)
    }

    /// Closes whatever the parent left open by mistake, beside the three standard descriptors.
    fn close_descriptors() {
        let Ok(entries) = std::fs::read_dir("/proc/self/fd") else { return };
        let open: Vec<i32> = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
        for descriptor in open.into_iter().filter(|descriptor| *descriptor > 2) {
            // SAFETY: this runs first in a process of one thread, which has opened nothing above the standard descriptors but
            // the listing, and that is closed by now; so nothing owns the number, or it is not open, which is an error only.
            #[expect(unsafe_code, reason = "closing what nobody in this process owns")]
            unsafe {
                libc::close(descriptor);
            }
        }
    }

    type Rules = Vec<(i64, Vec<SeccompRule>)>;

    fn filter(rules: Rules, otherwise: SeccompAction, then: SeccompAction) -> io::Result<BpfProgram> {
        let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(io::Error::other)?;
        let rules: BTreeMap<i64, Vec<SeccompRule>> = rules.into_iter().collect();
        let filter = SeccompFilter::new(rules, otherwise, then, arch).map_err(io::Error::other)?;
        filter.try_into().map_err(io::Error::other)
    }

    fn apply(program: &BpfProgram) -> io::Result<()> {
        apply_filter(program).map_err(io::Error::other)
    }

    /// A thread is made by `clone3`, whose flags lie in memory where a filter can't look: it is said not to exist, and the C
    /// library then uses `clone`, whose flags can be seen.
    fn no_clone3() -> io::Result<BpfProgram> {
        let rules = on_both_tables(vec![(libc::SYS_clone3, Vec::new())]);
        filter(rules, SeccompAction::Allow, SeccompAction::Errno(libc::ENOSYS as u32))
    }

    /// Forbids calls also under the numbers that they have in the x32 table, which some kernels offer beside the usual one: a
    /// filter sees the same architecture for both.
    fn on_both_tables(rules: Rules) -> Rules {
        const X32: i64 = 0x4000_0000;
        let is_x86 = cfg!(target_arch = "x86_64");
        let other: Rules = rules.iter().filter(|_| is_x86).map(|(call, rules)| (call | X32, rules.clone())).collect();
        rules.into_iter().chain(other).collect()
    }

    /// A call that is forbidden unless its first argument, the number of a process, has this value.
    fn unless(own: u64) -> io::Result<Vec<SeccompRule>> {
        let condition = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, own);
        let rule = condition.and_then(|condition| SeccompRule::new(vec![condition]));
        Ok(vec![rule.map_err(io::Error::other)?])
    }

    /// A call that is allowed, or forbidden, only if an argument has a value under a mask.
    fn only(argument: u8, mask: u64, value: u64) -> io::Result<Vec<SeccompRule>> {
        let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(mask), value);
        let rule = condition.and_then(|condition| SeccompRule::new(vec![condition]));
        Ok(vec![rule.map_err(io::Error::other)?])
    }

    /// What reading bytes from a socket and computing takes: memory, time, threads of this process, talking on what is open.
    fn allowed() -> io::Result<Rules> {
        let always = [
            libc::SYS_read,
            libc::SYS_write,
            libc::SYS_readv,
            libc::SYS_writev,
            libc::SYS_recvfrom,
            libc::SYS_recvmsg,
            libc::SYS_sendto,
            libc::SYS_sendmsg,
            libc::SYS_shutdown,
            libc::SYS_close,
            libc::SYS_fcntl,
            libc::SYS_fstat,
            libc::SYS_lseek,
            libc::SYS_ppoll,
            libc::SYS_mmap,
            libc::SYS_munmap,
            libc::SYS_mremap,
            libc::SYS_mprotect,
            libc::SYS_madvise,
            libc::SYS_brk,
            libc::SYS_membarrier,
            libc::SYS_futex,
            libc::SYS_clone3,
            libc::SYS_set_robust_list,
            libc::SYS_rseq,
            libc::SYS_gettid,
            libc::SYS_getpid,
            // What the kernel goes on with after the machine slept.
            libc::SYS_restart_syscall,
            libc::SYS_sched_yield,
            libc::SYS_sched_getaffinity,
            libc::SYS_getcpu,
            libc::SYS_nanosleep,
            libc::SYS_clock_nanosleep,
            libc::SYS_clock_gettime,
            libc::SYS_clock_getres,
            libc::SYS_gettimeofday,
            libc::SYS_getrusage,
            libc::SYS_getrandom,
            libc::SYS_rt_sigaction,
            libc::SYS_rt_sigprocmask,
            libc::SYS_rt_sigreturn,
            libc::SYS_sigaltstack,
            libc::SYS_exit,
            libc::SYS_exit_group,
        ];
        let mut rules: Rules = always.into_iter().map(|call| (call, Vec::new())).collect();
        #[cfg(target_arch = "x86_64")]
        rules.push((libc::SYS_poll, Vec::new()));
        let own = u64::from(std::process::id());
        let all = u64::MAX;
        rules.push((libc::SYS_clone, only(0, libc::CLONE_THREAD as u64, libc::CLONE_THREAD as u64)?));
        // Giving up: a signal to a thread of this process.
        rules.push((libc::SYS_tgkill, only(0, all, own)?));
        rules.push((libc::SYS_prlimit64, only(0, all, 0)?));
        rules.push((libc::SYS_prctl, only(0, all, libc::PR_SET_NAME as u64)?));
        Ok(rules)
    }

    /// What no tool that reads one file has any use for.
    fn forbidden() -> io::Result<Rules> {
        let never = [
            libc::SYS_socket,
            libc::SYS_socketpair,
            libc::SYS_connect,
            libc::SYS_bind,
            libc::SYS_listen,
            libc::SYS_accept,
            libc::SYS_accept4,
            libc::SYS_ptrace,
            libc::SYS_process_vm_readv,
            libc::SYS_process_vm_writev,
            libc::SYS_kill,
            libc::SYS_tkill,
            libc::SYS_pidfd_open,
            libc::SYS_pidfd_send_signal,
            libc::SYS_pidfd_getfd,
            libc::SYS_unshare,
            libc::SYS_setns,
            libc::SYS_mount,
            libc::SYS_umount2,
            libc::SYS_pivot_root,
            libc::SYS_chroot,
            libc::SYS_bpf,
            libc::SYS_perf_event_open,
            libc::SYS_io_uring_setup,
            libc::SYS_io_uring_enter,
            libc::SYS_io_uring_register,
            libc::SYS_userfaultfd,
            libc::SYS_keyctl,
            libc::SYS_add_key,
            libc::SYS_request_key,
            libc::SYS_open_by_handle_at,
            libc::SYS_execveat,
            // A program of its own making would need no file.
            libc::SYS_memfd_create,
            // Landlock has no say over who may do what with a file, nor over its dates.
            libc::SYS_fchmod,
            libc::SYS_fchmodat,
            libc::SYS_fchmodat2,
            libc::SYS_fchown,
            libc::SYS_fchownat,
            libc::SYS_utimensat,
            libc::SYS_setxattr,
            libc::SYS_lsetxattr,
            libc::SYS_fsetxattr,
            libc::SYS_removexattr,
            libc::SYS_lremovexattr,
            libc::SYS_fremovexattr,
            // Nor over other processes of this user.
            libc::SYS_setpriority,
            libc::SYS_sched_setaffinity,
            libc::SYS_sched_setattr,
            libc::SYS_sched_setparam,
            libc::SYS_sched_setscheduler,
            libc::SYS_ioprio_set,
            libc::SYS_process_madvise,
            libc::SYS_migrate_pages,
            libc::SYS_move_pages,
            libc::SYS_kcmp,
            libc::SYS_rt_sigqueueinfo,
            libc::SYS_rt_tgsigqueueinfo,
            libc::SYS_shmget,
            libc::SYS_shmat,
            libc::SYS_msgget,
            libc::SYS_semget,
            libc::SYS_mq_open,
        ];
        let mut rules: Rules = never.into_iter().map(|call| (call, Vec::new())).collect();
        #[cfg(target_arch = "x86_64")]
        {
            let old = [
                libc::SYS_fork,
                libc::SYS_vfork,
                libc::SYS_chmod,
                libc::SYS_chown,
                libc::SYS_lchown,
                libc::SYS_utime,
                libc::SYS_utimes,
                libc::SYS_futimesat,
            ];
            rules.extend(old.map(|call| (call, Vec::new())));
        }
        rules.push((libc::SYS_prlimit64, unless(0)?));
        // A process keeps its number when it becomes another program.
        rules.push((libc::SYS_tgkill, unless(u64::from(std::process::id()))?));
        rules.push((libc::SYS_clone, only(0, libc::CLONE_THREAD as u64, 0)?));
        Ok(rules)
    }
}
