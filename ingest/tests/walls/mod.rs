//! What a worker and a tool that were taken over would try first, each from behind its own walls.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::{Command, ExitCode};

use strongroom_ingest::extract::sandbox;

/// One bit for each of the attempts that succeeded.
fn bits(attempts: &[bool]) -> ExitCode {
    ExitCode::from(attempts.iter().rev().fold(0, |bits, succeeded| bits << 1 | u8::from(*succeeded)))
}

/// Everything a taken-over worker would try first.
pub fn walls() -> ExitCode {
    let parent = std::os::unix::process::parent_id();
    if sandbox::close_around_worker().is_err() {
        return ExitCode::from(99);
    }
    let signal = rustix::process::Pid::from_raw(parent as i32).unwrap();
    bits(&[
        std::fs::File::open("/etc/hostname").is_ok() || std::fs::read_dir("/").is_ok(),
        std::fs::write("/tmp/strongroom-escape", b"x").is_ok(),
        std::net::TcpStream::connect("127.0.0.1:9").is_err_and(|error| error.kind() != io::ErrorKind::PermissionDenied)
            || std::net::TcpListener::bind("127.0.0.1:0").is_ok(),
        std::net::UdpSocket::bind("127.0.0.1:0").is_ok(),
        UnixStream::pair().is_ok() || std::os::unix::net::UnixDatagram::unbound().is_ok(),
        Command::new("/bin/true").status().is_ok() || makes_a_process(),
        rustix::process::test_kill_process(signal).is_ok() || reaches_a_process(parent),
        // What may be done: computing in threads, the clock, memory.
        std::thread::spawn(|| vec![1_u8; 1 << 20].len() + std::time::Instant::now().elapsed().subsec_nanos() as usize)
            .join()
            .is_err(),
    ])
}

/// Whether a process can be made by any of the calls for it, or a socket under the number of the other table of calls.
#[cfg(target_os = "linux")]
fn makes_a_process() -> bool {
    // SAFETY: no call gets a pointer that it would write to. A child, if one is made, ends at once and touches nothing.
    #[expect(unsafe_code, reason = "the library's own calls would take another way after the first refusal")]
    let made = |call, flags: libc::c_long| unsafe {
        let number = libc::syscall(call, flags, 0, 0, 0, 0);
        if number == 0 {
            libc::_exit(0);
        }
        number > 0
    };
    #[cfg(target_arch = "x86_64")]
    let by_old_calls = made(libc::SYS_fork, 0) || made(libc::SYS_vfork, 0) || made(0x4000_0000 | libc::SYS_socket, 1);
    #[cfg(not(target_arch = "x86_64"))]
    let by_old_calls = false;
    by_old_calls || made(libc::SYS_clone, libc::c_long::from(libc::SIGCHLD))
}

/// Whether another process of this user can be traced, read or given limits, or this one be traced.
#[cfg(target_os = "linux")]
fn reaches_a_process(number: u32) -> bool {
    let number = libc::c_long::from(number);
    let none = std::ptr::null::<u8>();
    let refused = |result: libc::c_long| result == -1 && io::Error::last_os_error().raw_os_error() == Some(libc::EPERM);
    // SAFETY: the pointers are null, and the kernel takes that for nothing to read or write.
    #[expect(unsafe_code, reason = "there is no other way to these calls")]
    let all_refused = unsafe {
        refused(libc::syscall(libc::SYS_ptrace, libc::PTRACE_TRACEME, 0, none, none))
            && refused(libc::syscall(libc::SYS_ptrace, libc::PTRACE_SEIZE, number, none, none))
            && refused(libc::syscall(libc::SYS_process_vm_readv, number, none, 0, none, 0, 0))
            && refused(libc::syscall(libc::SYS_prlimit64, number, libc::RLIMIT_NOFILE, none, none))
    };
    !all_refused
}

#[cfg(not(target_os = "linux"))]
fn makes_a_process() -> bool {
    false
}

#[cfg(not(target_os = "linux"))]
fn reaches_a_process(_number: u32) -> bool {
    false
}

pub fn tool_walls() -> ExitCode {
    let parent = std::os::unix::process::parent_id();
    let own = std::env::current_exe().unwrap();
    let folder = std::env::temp_dir().join(format!("strongroom-tool-data-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("language"), b"x").unwrap();
    if sandbox::close_around_tool(&own, &[&folder]).is_err() {
        return ExitCode::from(99);
    }
    bits(&[
        std::fs::File::open("/etc/hostname").is_ok()
            || std::fs::read_dir("/root").is_ok()
            || std::fs::read_dir("/home").is_ok(),
        std::fs::write(folder.join("new"), b"x").is_ok() || std::fs::write("/tmp/strongroom-escape", b"x").is_ok(),
        std::net::TcpListener::bind("127.0.0.1:0").is_ok() || std::net::UdpSocket::bind("127.0.0.1:0").is_ok(),
        UnixStream::pair().is_ok() || std::os::unix::net::UnixDatagram::unbound().is_ok(),
        Command::new("/bin/true").status().is_ok() || makes_a_process() || reaches_a_process(parent),
        std::fs::remove_file(folder.join("language")).is_ok()
            || std::fs::set_permissions(folder.join("language"), Permissions::from_mode(0o600)).is_ok(),
        // It may read its data.
        std::fs::read(folder.join("language")).is_err(),
    ])
}
