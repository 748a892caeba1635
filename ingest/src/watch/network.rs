//! Which file systems send no events because other machines write to them.

use std::path::Path;

/// Whether changes made by other machines reach `path` without events here.
#[cfg(target_os = "linux")]
pub(super) fn on_network(path: &Path) -> bool {
    #[allow(clippy::unnecessary_cast)] // the field differs in width and sign between architectures
    rustix::fs::statfs(path).is_ok_and(|about| is_network_type(about.f_type as u32))
}

/// Elsewhere the kind is not asked: the regular sweep finds what events don't tell.
#[cfg(not(target_os = "linux"))]
pub(super) fn on_network(_path: &Path) -> bool {
    false
}

/// File systems whose content somebody else can change: numbers from `statfs(2)` and `linux/magic.h`.
#[cfg(target_os = "linux")]
pub(super) fn is_network_type(kind: u32) -> bool {
    const REMOTE: &[u32] = &[
        0x6969,      // nfs
        0x517B,      // smb
        0xFF53_4D42, // cifs
        0xFE53_4D42, // smb2 and later
        0x6573_5546, // fuse: sshfs, cloud drives, virtiofs
        0x0102_1997, // 9p: shared folders of virtual machines
        0x5346_414F, // afs
        0x6B41_4653, // kafs
        0x7375_7245, // coda
        0x00C3_6400, // ceph
        0x0BD0_0BD0, // lustre
        0x1983_0326, // beegfs
        0x0116_1970, // gfs2
        0x7461_636F, // ocfs2
        0x786F_4256, // vboxsf
        0xBACB_ACBC, // vmhgfs
        0x564C,      // ncp
    ];
    REMOTE.contains(&kind)
}
