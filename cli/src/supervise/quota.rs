//! The CPU quota that this process shares with its program: when the program has used it up, neither runs.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use rustix::thread::sched_getaffinity;

use super::cgroup::{Hierarchy, own_directory};

/// A limit on the CPU time of a cgroup.
#[derive(Clone, Debug, PartialEq)]
pub struct Quota {
    /// The directory of the cgroup that has it.
    pub group: PathBuf,
    /// The quota in processors.
    pub processors: f64,
    /// How many periods were throttled.
    pub throttled: u64,
}

impl Quota {
    /// The smallest quota of the groups that this process is in, if that is less than all processors it may use.
    #[must_use]
    pub fn of_this_process() -> Option<Self> {
        let mounts = fs::read("/proc/self/mountinfo").ok()?;
        let membership = fs::read("/proc/self/cgroup").ok()?;
        let processors = f64::from(sched_getaffinity(None).ok()?.count());
        let own = [Hierarchy::Unified, Hierarchy::OfCpu].into_iter();
        own.filter_map(|hierarchy| own_directory(hierarchy, &mounts, &membership))
            .filter_map(|own| Self::smallest(&own.directory))
            .min_by(|one, other| one.processors.total_cmp(&other.processors))
            .filter(|quota| quota.processors < processors)
    }

    /// The smallest quota from a group up. A group without the controller has those of the groups above it.
    fn smallest(group: &Path) -> Option<Self> {
        let quotas = group.ancestors().filter_map(Self::read);
        quotas.min_by(|one, other| one.processors.total_cmp(&other.processors))
    }

    /// The quota of a group, in either version of control groups. One without a limit says `max`, or -1.
    fn read(group: &Path) -> Option<Self> {
        let text = |name| fs::read_to_string(group.join(name)).ok();
        let limit = text("cpu.max").or_else(|| {
            let [quota, period] = ["cpu.cfs_quota_us", "cpu.cfs_period_us"].map(text);
            Some(format!("{} {}", quota?, period?))
        })?;
        let mut numbers = limit
            .split_whitespace()
            .map(|word| word.parse::<u32>().ok());
        let (quota, period) = (numbers.next()??, numbers.next()??);
        let statistics = text("cpu.stat").unwrap_or_default();
        let throttled = statistics
            .lines()
            .find_map(|line| line.strip_prefix("nr_throttled "));
        Some(Self {
            group: group.to_owned(),
            processors: f64::from(quota) / f64::from(period.max(1)),
            throttled: throttled
                .and_then(|count| count.trim().parse().ok())
                .unwrap_or(0),
        })
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (group, throttled) = (self.group.display(), self.throttled);
        write!(
            f,
            "a CPU quota of {:.2} processors in {group}, throttled {throttled} times",
            self.processors
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_quota_on_the_way_up_counts_in_either_version() {
        let folder = tempfile::tempdir().unwrap();
        let unit = folder.path().join("system.slice/a.service");
        let leaf = unit.join("incumbent-7");
        fs::create_dir_all(&leaf).unwrap();
        let write =
            |group: &Path, name: &str, text: &str| fs::write(group.join(name), text).unwrap();
        let smallest =
            || Quota::smallest(&leaf).map(|quota| (quota.group, quota.processors, quota.throttled));
        assert_eq!(smallest(), None);
        write(&unit, "cpu.max", "max 100000\n");
        assert_eq!(smallest(), None);
        let slice = folder.path().join("system.slice");
        write(&slice, "cpu.max", "150000 100000\n");
        assert_eq!(smallest(), Some((slice, 1.5, 0)));
        write(&unit, "cpu.max", "20000 100000\n");
        write(
            &unit,
            "cpu.stat",
            "usage_usec 5\nnr_periods 9\nnr_throttled 7\nthrottled_usec 3\n",
        );
        assert_eq!(smallest(), Some((unit, 0.2, 7)));
        write(&leaf, "cpu.cfs_quota_us", "-1\n");
        write(&leaf, "cpu.cfs_period_us", "100000\n");
        assert_eq!(smallest().unwrap().1, 0.2);
        write(&leaf, "cpu.cfs_quota_us", "5000\n");
        assert_eq!(smallest(), Some((leaf.clone(), 0.05, 0)));
        write(&leaf, "cpu.cfs_quota_us", "many\n");
        assert_eq!(smallest().unwrap().1, 0.2);
    }
}
