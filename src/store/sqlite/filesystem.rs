//! Which file systems can hold a database: those of one host.
//!
//! SQLite's users share memory and locks, and those of two hosts, or of two mounts of a network file system,
//! share neither: each would elect a leader, and then the file would be corrupt.

use std::path::Path;

use rustix::fs::statfs;

use super::trouble::Trouble;

/// The file systems that several hosts may have mounted, by the number that `statfs(2)` gives. Virtiofs and
/// everything else that a program serves to the kernel calls itself FUSE. The numbers are those of
/// `linux/magic.h` and of the file systems' own headers.
const SHARED: [(u32, &str); 23] = [
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
    (0x786f_4256, "a VirtualBox folder"),
    (0xbacb_acbc, "a VMware folder"),
    (0x7c7c_6673, "a Parallels folder"),
];

/// Refuses a path on a file system that several hosts may share. Nothing need be at the path yet.
pub(super) fn check(path: &Path) -> Result<(), Trouble> {
    for existing in path.ancestors() {
        match statfs(existing) {
            Ok(found) => return judge(path, number(found.f_type)),
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => {}
            Err(error) => return Err(Trouble::about(existing, &error.into())),
        }
    }
    Ok(())
}

fn judge(path: &Path, number: u32) -> Result<(), Trouble> {
    match SHARED.iter().find(|(shared, _)| *shared == number) {
        None => Ok(()),
        Some((_, kind)) => Err(Trouble::Unsuitable(format!(
            "{} is on a file system that several hosts can share ({kind}), where two candidates could lead \
             at once; choose a path on a local disk, or a redis:// store",
            path.display()
        ))),
    }
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
    fn file_systems_of_several_hosts_are_refused_and_local_ones_are_not() {
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
        ];
        assert!(shared.into_iter().all(refused));
        // ext4, XFS, Btrfs, tmpfs, ramfs, overlayfs, ZFS, F2FS, bcachefs, eCryptfs.
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
            0xf15f,
        ];
        assert!(!local.into_iter().any(refused));
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
        let nowhere = Path::new("/proc/self/not/there.db");
        check(nowhere).expect("it is not shared, whatever else it is");
    }
}
