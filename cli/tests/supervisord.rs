//! The shipped configuration under the real supervisord, one for each of two hosts.

#![allow(missing_docs, reason = "tests are named by what they claim")]

#[path = "takeover/field.rs"]
mod field;
#[path = "../../tests/support/mod.rs"]
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use field::{Field, PATIENCE};
use incumbent::election::clock;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use support::environment;

const PROGRAM: &str = "incumbent-billing";

/// A supervisord with the shipped configuration, but for the paths.
struct Host {
    folder: tempfile::TempDir,
    supervisord: Child,
}

impl Host {
    fn start(field: &Field) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/supervisor.conf");
        let mut program = fs::read_to_string(shipped).unwrap();
        let user = Command::new("id").arg("-un").output().unwrap();
        let user = String::from_utf8(user.stdout).unwrap();
        for (path, here) in [
            ("/usr/bin/incumbent", env!("CARGO_BIN_EXE_incumbent")),
            ("/etc/incumbent/billing.toml", &at("billing.toml")),
            ("/var/log/supervisor/%(program_name)s.log", &at("log")),
            ("user=incumbent", &format!("user={}", user.trim())),
        ] {
            assert!(program.contains(path), "{path} is not in what is shipped");
            program = program.replace(path, here);
        }
        let (socket, log, pid) = (at("socket"), at("supervisord.log"), at("pid"));
        let around = format!(
            "[unix_http_server]\nfile={socket}\n[supervisord]\nlogfile={log}\npidfile={pid}\n\
             [rpcinterface:supervisor]\n\
             supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n\
             [supervisorctl]\nserverurl=unix://{socket}\n"
        );
        fs::write(at("supervisord.conf"), around + &program).unwrap();
        fs::write(at("billing.toml"), field.configuration()).unwrap();
        let mut supervisord = Command::new("supervisord");
        let supervisord = environment::clear(&mut supervisord)
            .args(["--nodaemon", "--configuration", &at("supervisord.conf")])
            .envs(field.environment())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("supervisord starts (package supervisor)");
        Self {
            folder,
            supervisord,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn ctl(&self, words: &[&str]) -> String {
        let output = Command::new("supervisorctl")
            .arg("--configuration")
            .arg(self.path("supervisord.conf"))
            .args(words)
            .output()
            .unwrap();
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    }

    fn elector(&self) -> Pid {
        let text = self.ctl(&["pid", PROGRAM]);
        Pid::from_raw(text.trim().parse().expect(&text)).unwrap()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    fn wait_until_it_stands_by(&self, times: usize) {
        wait_until("it stands by", || {
            self.log().matches("standing by:").count() >= times
        });
    }
}

/// Its electors are asked to stop, and their programs with them.
impl Drop for Host {
    fn drop(&mut self) {
        kill_process(Pid::from_child(&self.supervisord), Signal::TERM).unwrap();
        self.supervisord.wait().unwrap();
    }
}

fn wait_until(what: &str, mut happened: impl FnMut() -> bool) {
    let until = clock::now() + PATIENCE;
    while !happened() {
        assert!(clock::now() < until, "timed out waiting until {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn is_alive(pid: Pid) -> bool {
    test_kill_process(pid).is_ok()
}

/// The program whose start a log reports last.
fn program(log: &str) -> Pid {
    let line = log
        .lines()
        .rfind(|line| line.contains("started the program"));
    field::pid(line.expect(log))
}

#[test]
fn the_shipped_configuration_elects_one_and_moves_it_when_it_is_stopped_killed_or_restarted() {
    let field = Field::on_a_file(&[]);
    let a = Host::start(&field);
    field.wait_for_term(1);
    let b = Host::start(&field);
    b.wait_until_it_stands_by(1);

    let first = program(&a.log());
    let told = a.ctl(&["stop", PROGRAM]);
    assert!(told.contains("stopped"), "{told}");
    assert!(
        !is_alive(first),
        "supervisorctl stop waits until the program is gone"
    );
    field.wait_for_term(2);
    assert!(a.ctl(&["status"]).contains("STOPPED"));
    a.ctl(&["start", PROGRAM]);
    a.wait_until_it_stands_by(1);

    let (elector, second) = (b.elector(), program(&b.log()));
    kill_process(elector, Signal::KILL).unwrap();
    field.wait_for_term(3);
    assert!(
        !is_alive(second),
        "the keeper has killed it before it released"
    );
    b.wait_until_it_stands_by(2);
    assert_ne!(b.elector(), elector, "it was started again");

    a.ctl(&["restart", PROGRAM]);
    field.wait_for_term(4);
    a.wait_until_it_stands_by(2);
    field.witness().assert_no_overlap();

    // What trying again does not mend is not tried again.
    fs::write(a.path("billing.toml"), "intervall = \"1s\"\n").unwrap();
    a.ctl(&["restart", PROGRAM]);
    wait_until("it has given up", || a.ctl(&["status"]).contains("EXITED"));
    let given_up = a.log();
    assert!(given_up.contains("intervall"), "{given_up}");
    // supervisord goes through its programs once a second, and answers in between.
    let asked = clock::now();
    wait_until("three rounds are over", || {
        assert!(a.ctl(&["status"]).contains("EXITED"));
        clock::now().since(asked) > Duration::from_secs(3)
    });
    assert_eq!(a.log(), given_up);
}
