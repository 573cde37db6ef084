//! Which file systems can hold a database: those of one host.
//!
//! SQLite's users share memory and locks, and those of two hosts, or of two mounts of a network file system,
//! share neither: each would elect a leader, and then the file would be corrupt. So a file system that is not known
//! to be of one host is refused, and so is a layer over another one that cannot be seen.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, StatxFlags, statfs, statx};

use super::trouble::Trouble;

/// The file systems that only one host has mounted, by the number that `statfs(2)` gives. Some can be read only, but
/// another may be mounted there later. The numbers are those of `linux/magic.h`, of `statfs(2)` and of the file systems'
/// own headers.
const LOCAL: [(u32, &str); 44] = [
    (0xef53, "ext2, ext3, ext4"),
    (0xef51, "old ext2"),
    (0x5846_5342, "XFS"),
    (0x9123_683e, "Btrfs"),
    (0x2fc1_2fc1, "ZFS"),
    (0xca45_1a4e, "bcachefs"),
    (0xf2f5_2010, "F2FS"),
    (0x0102_1994, "tmpfs"),
    (0x8584_58f6, "ramfs"),
    // The writable layer is judged by itself.
    (OVERLAY, "overlayfs"),
    (0x3153_464a, "JFS"),
    (0x5265_4973, "ReiserFS"),
    (0x5234_5362, "Reiser4"),
    (0x3434, "NILFS"),
    (0x2405_1905, "UBIFS"),
    (0x72b6, "JFFS2"),
    (0x5941_ff53, "YAFFS"),
    (0xc97e_8168, "LogFS"),
    (0x2011_bab0, "exFAT"),
    (0x4d44, "FAT"),
    (0x7366_746e, "NTFS"),
    (0x5346_544e, "old NTFS"),
    (0x4244, "HFS"),
    (0x482b, "HFS+"),
    (0x4253_584e, "APFS"),
    (0x0001_1954, "UFS"),
    (0x1954_0119, "UFS2"),
    (0xf995_e849, "HPFS"),
    (0x4246_5331, "BeFS"),
    (0x1bad_face, "BFS"),
    (0xadf5, "ADFS"),
    (0xadff, "AFFS"),
    (0x137f, "Minix"),
    (0x138f, "Minix"),
    (0x2468, "Minix 2"),
    (0x2478, "Minix 2"),
    (0x4d5a, "Minix 3"),
    (0x1501_3346, "UDF"),
    (0x5346_4846, "Windows, under WSL 1"),
    (0x7371_7368, "SquashFS"),
    (0xe0f5_e1e2, "EROFS"),
    (0x28cd_3d45, "cramfs"),
    (0x9660, "ISO 9660"),
    (0x7275, "romfs"),
];

/// File systems in which only the kernel makes files.
const KERNELS: [(u32, &str); 4] = [
    (0x9fa0, "/proc"),
    (0x6265_6572, "/sys"),
    (0x1cd1, "/dev/pts"),
    (0x6367_7270, "cgroup"),
];

const OVERLAY: u32 = 0x794c_7630;

/// The names of others, for the error. Virtiofs and everything else that a program serves to the kernel calls
/// itself FUSE.
const SHARED: [(u32, &str); 32] = [
    (0x0000_6969, "NFS"),
    (0x0000_517b, "SMB"),
    (0xfe53_4d42, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0x6573_5546, "FUSE or virtiofs"),
    (0x0102_1997, "9p"),
    (0x0bd0_0bd0, "Lustre"),
    (0x00c3_6400, "Ceph"),
    (0x5346_414f, "AFS"),
    (0x6b41_4653, "AFS"),
    (0x7375_7245, "Coda"),
    (0x0000_564c, "NCP"),
    (0x0116_1970, "GFS2"),
    (0x7461_636f, "OCFS2"),
    (0x4750_4653, "GPFS"),
    (0x2003_0528, "OrangeFS"),
    (0x1983_0326, "BeeGFS"),
    (0xaad7_aaea, "PanFS"),
    (0xbeef_dead, "StorNext"),
    (0x6163_6673, "ACFS"),
    (0xa501_fcf5, "VxFS, which a cluster can share"),
    (0x0131_11a8, "IBRIX"),
    (0x5df5, "exofs"),
    (0x786f_4256, "a VirtualBox folder"),
    (0xbacb_acbc, "a VMware folder"),
    (0x7c7c_6673, "a Parallels folder"),
    (
        0x00c0_ffee,
        "hostfs, a folder of the host of a virtual machine",
    ),
    (0x0187, "an automounter"),
    (0xf15f, "eCryptfs, whose lower folder may be anywhere"),
    (0x6175_6673, "aufs, whose branches may be anywhere"),
    (0x6a65_6a62, "shiftfs, whose lower folder may be anywhere"),
    (0x565a_4653, "VZFS, whose lower folder may be anywhere"),
];

/// Refuses a path on a file system that several hosts may share. Nothing need be at the path yet.
pub(super) fn check(path: &Path) -> Result<(), Trouble> {
    for existing in path.ancestors() {
        match statfs(existing) {
            Ok(found) => {
                let number = number(found.f_type);
                judge(path, number)?;
                let upper = (number == OVERLAY).then(|| upper_layer(existing));
                return match upper.flatten().and_then(|upper| statfs(&upper).ok()) {
                    Some(below) => judge(path, self::number(below.f_type)),
                    None => Ok(()),
                };
            }
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => {}
            Err(error) => return Err(Trouble::about(existing, &error.into())),
        }
    }
    Ok(())
}

fn judge(path: &Path, number: u32) -> Result<(), Trouble> {
    if LOCAL.iter().any(|(local, _)| *local == number) {
        return Ok(());
    }
    if let Some((_, kind)) = KERNELS.iter().find(|(kernels, _)| *kernels == number) {
        return Err(Trouble::Unsuitable(format!(
            "{} is on a file system of the kernel ({kind}), where no file can be made; choose a path on a local disk",
            path.display()
        )));
    }
    let known = SHARED.iter().find(|(shared, _)| *shared == number);
    let kind = match known {
        Some((_, kind)) => (*kind).to_owned(),
        None => format!("of the unknown type {number:#x}"),
    };
    Err(Trouble::Unsuitable(format!(
        "{} is on a file system that several hosts can share ({kind}), where two candidates could lead at once; \
         choose a path on a local disk, or a redis:// store",
        path.display()
    )))
}

/// The writable layer of the overlay that a path is on, if it can be seen from here. From inside a container it
/// cannot, and no two containers share one.
fn upper_layer(path: &Path) -> Option<PathBuf> {
    let found = statx(CWD, path, AtFlags::empty(), StatxFlags::MNT_ID).ok()?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    upper_layer_of(found.stx_mnt_id, &mounts)
}

/// The same, of the mount with this id. `proc_pid_mountinfo(5)`: the id comes first, and the options of the file
/// system last.
fn upper_layer_of(mount: u64, mounts: &str) -> Option<PathBuf> {
    let id = format!("{mount} ");
    let mount = mounts.lines().find(|line| line.starts_with(&id))?;
    let mut options = mount.rsplit(' ').next()?.split(',');
    let upper = options.find_map(|option| option.strip_prefix("upperdir="));
    upper.map(PathBuf::from)
}

/// The number of a file system has 32 bits, which some architectures sign or widen.
fn number<T>(f_type: T) -> u32
where
    i128: From<T>,
{
    u32::try_from(Into::<i128>::into(f_type) & 0xffff_ffff).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_file_systems_that_are_known_to_be_of_one_host_are_taken() {
        let path = Path::new("/srv/elections.db");
        let refused = |number| judge(path, number).is_err();
        // As `stat -f -c %t` prints them, not from the table above.
        let shared = [
            0x6969,
            0x517b,
            0xfe53_4d42,
            0xff53_4d42,
            0x6573_5546,
            0x0102_1997,
            0x0bd0_0bd0,
            0x00c3_6400,
            0x5346_414f,
            0x6b41_4653,
            0x7375_7245,
            0x0116_1970,
            0x7461_636f,
            0x4750_4653,
            0x2003_0528,
            0x1983_0326,
            0x786f_4256,
            // VxFS, hostfs, and the layers eCryptfs and aufs.
            0xa501_fcf5,
            0x00c0_ffee,
            0xf15f,
            0x6175_6673,
            // Nobody's.
            0x1234_5678,
            0,
        ];
        assert!(shared.into_iter().all(refused));
        // ext4, XFS, Btrfs, tmpfs, ramfs, overlayfs, ZFS, F2FS, bcachefs, exFAT, NTFS.
        let local = [
            0xef53,
            0x5846_5342,
            0x9123_683e,
            0x0102_1994,
            0x8584_58f6,
            0x794c_7630,
            0x2fc1_2fc1,
            0xf2f5_2010,
            0xca45_1a4e,
            0x2011_bab0,
            0x7366_746e,
        ];
        assert!(!local.into_iter().any(refused));
        let all = LOCAL
            .iter()
            .chain(&SHARED)
            .chain(&KERNELS)
            .map(|(number, _)| number);
        let distinct: std::collections::BTreeSet<_> = all.clone().collect();
        assert_eq!(distinct.len(), all.count(), "a number is listed twice");
        let Err(Trouble::Unsuitable(error)) = judge(path, 0x1234_5678) else {
            panic!("it is unsuitable");
        };
        assert!(error.contains("unknown type 0x12345678"), "{error}");
    }

    /// As the kernel prints it.
    #[test]
    fn the_writable_layer_of_an_overlay_is_found_by_its_mount() {
        let mounts = "22 28 0:21 / /proc rw,relatime - proc proc rw\n\
                      312 28 0:52 / /m rw - overlay overlay rw,lowerdir=/l,upperdir=/nfs/up,workdir=/nfs/work\n\
                      31 28 0:53 / /n ro,relatime - overlay overlay ro,lowerdir=/l:/k\n";
        let upper = upper_layer_of(312, mounts);
        assert_eq!(upper.as_deref(), Some(Path::new("/nfs/up")));
        assert_eq!(upper_layer_of(31, mounts), None);
        assert_eq!(upper_layer_of(3, mounts), None);
    }

    #[test]
    fn a_number_that_is_signed_or_widened_is_the_same() {
        assert_eq!(number(-28_095_166_i32), 0xfe53_4d42);
        assert_eq!(number(0xfe53_4d42_u32), 0xfe53_4d42);
        assert_eq!(number(-28_095_166_i64), 0xfe53_4d42);
    }

    #[test]
    fn a_path_that_does_not_exist_is_judged_by_the_folder_it_would_be_in() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        check(&directory.path().join("not/yet/there.db")).expect("it is local");
        let Err(Trouble::Unsuitable(error)) = check(Path::new("/proc/self/not/there.db")) else {
            panic!("it is unsuitable");
        };
        assert!(error.contains("of the kernel (/proc)"), "{error}");
    }
}
