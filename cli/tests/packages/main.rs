//! The Debian package of `dist/` on a booted host: installed, upgraded, removed and purged, with a unit that runs from
//! it. `packaging/build` makes it and `packaging/test` runs this; without the package there is nothing to test.

#![allow(
    clippy::disallowed_methods,
    reason = "tests measure with the clocks of the system"
)]

#[path = "../systemd/bed.rs"]
#[allow(dead_code, reason = "one host needs no network")]
mod bed;
#[path = "../systemd/wait.rs"]
mod wait;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use bed::{Bed, Host};
use wait::wait_for;

/// What a busy machine may add to anything.
const SLACK: Duration = Duration::from_secs(30);

const UNIT: &str = "incumbent@demo.service";
const STORE: &str = "sqlite:/var/lib/incumbent/elections.db";

/// The package of this machine's architecture: there may be others.
fn built() -> PathBuf {
    let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dist");
    let output = Command::new("dpkg").arg("--print-architecture").output();
    let architecture = String::from_utf8(output.unwrap().stdout).unwrap();
    let end = format!("_{}.deb", architecture.trim());
    let entries = std::fs::read_dir(&dist).expect("packaging/build has filled dist/");
    let mut paths = entries.map(|entry| entry.unwrap().path());
    paths
        .find(|path| path.to_str().is_some_and(|path| path.ends_with(&end)))
        .expect("packaging/build has made a package in dist/")
}

/// The same package with a lower version.
fn older(built: &Path, folder: &Path) -> PathBuf {
    let older = folder.join("older.deb");
    let line = "dpkg-deb -R \"$0\" \"$1\" && sed -i 's/^Version: .*/Version: 0.0.1-1/' \"$1\"/DEBIAN/control && \
                dpkg-deb --root-owner-group -b \"$1\" \"$2\"";
    let output = Command::new("sh")
        .args(["-c", line])
        .args([built, &folder.join("files"), &older])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    older
}

fn property(host: &Host, name: &str) -> String {
    let shown = host.sh(&format!("systemctl show -p {name} --value {UNIT}"));
    shown.trim().to_owned()
}

/// The term under which the unit leads, once it does.
fn leads(host: &Host) -> u64 {
    let status = format!("incumbent status demo --store {STORE} -o json");
    wait_for("the unit to lead", SLACK, || {
        let (led, text) = host.try_sh(&status);
        let json: serde_json::Value = serde_json::from_str(&text).ok()?;
        let pid = json["holder"]["pid"].as_u64()?.to_string();
        (led && pid == property(host, "MainPID")).then(|| json["term"].as_u64().unwrap())
    })
}

#[test]
fn the_deb_is_installed_upgraded_removed_and_purged_under_a_unit_that_leads() {
    let folder = tempfile::tempdir().unwrap();
    let built = built();
    let mut bed = Bed::new(1);
    let host = bed.host(1);
    host.install(&older(&built, folder.path()), "/var/tmp/older.deb");
    host.install(&built, "/var/tmp/built.deb");
    bed.boot();
    let host = bed.host(1);
    // Images for containers have one, which forbids a package to stop a unit. A host has none.
    host.sh("rm -f /usr/sbin/policy-rc.d");

    host.sh("dpkg -i /var/tmp/older.deb");
    let configuration = format!("store = \"{STORE}\"\nprogram = [\"/bin/sleep\", \"1000\"]\n");
    host.write("/etc/incumbent/demo.toml", &configuration, 0o644);
    host.sh(&format!("systemctl enable --now {UNIT}"));
    let first = leads(host);
    assert_eq!(property(host, "NoNewPrivileges"), "yes");
    assert_eq!(host.sh("stat -c %U /var/lib/incumbent").trim(), "incumbent");

    // The first drop-in is in force, and the others are at hand.
    let files = host.sh("dpkg --listfiles incumbent");
    let of_systemd = Path::new(env!("CARGO_MANIFEST_DIR")).join("../systemd");
    for file in std::fs::read_dir(of_systemd).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        if name.starts_with(|first: char| first.is_ascii_digit()) {
            let folder = match name.as_str() {
                "10-hardening.conf" => "/usr/lib/systemd/system/incumbent@.service.d",
                _ => "/usr/share/doc/incumbent/examples",
            };
            let path = format!("{folder}/{name}");
            assert!(files.lines().any(|line| line == path), "no {path}");
        }
    }

    // An upgrade moves no leader; the next start runs the new program.
    let main = property(host, "MainPID");
    host.sh("dpkg -i /var/tmp/built.deb");
    assert_eq!(property(host, "NeedDaemonReload"), "no");
    assert_eq!(
        (leads(host), property(host, "MainPID")),
        (first, main.clone())
    );
    let runs = |pid: &str| host.sh(&format!("readlink /proc/{pid}/exe"));
    assert_eq!(runs(&main).trim(), "/usr/bin/incumbent (deleted)");
    host.sh(&format!("systemctl restart {UNIT}"));
    let second = leads(host);
    assert!(second > first);
    assert_eq!(
        runs(&property(host, "MainPID")).trim(),
        "/usr/bin/incumbent"
    );
    assert_eq!(host.sh("dpkg --verify incumbent"), "");
    let version = host.sh("dpkg-query --show --showformat '${Version}' incumbent");
    let version = version.strip_suffix("-1").expect(&version).to_owned();
    assert!(host.sh("incumbent --version").contains(&version));

    // The program ends with the package, and the elections stay.
    host.sh("dpkg -r incumbent");
    assert_eq!(property(host, "ActiveState"), "inactive");
    assert!(!host.try_sh("pgrep -x incumbent || pgrep -x sleep").0);
    assert!(!host.try_sh("test -e /usr/bin/incumbent").0);
    host.sh("test -e /etc/incumbent/demo.toml -a -e /var/lib/incumbent/elections.db");
    host.sh(&format!(
        "dpkg -i /var/tmp/built.deb && systemctl start {UNIT}"
    ));
    assert!(leads(host) > second);

    host.sh("dpkg -P incumbent");
    assert_eq!(property(host, "ActiveState"), "inactive");
    assert!(!host.try_sh("test -e /var/lib/incumbent").0);
    assert!(!host.try_sh("dpkg-query --show incumbent").0);
    host.sh("test -e /etc/incumbent/demo.toml");
}
