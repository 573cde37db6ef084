//! What the command says and does when a store cannot be reached as it should be.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;

use crate::home::{Ended, Home, wait_until};
use crate::support::redis::RedisServer;

/// The environment that a command sets.
pub(crate) fn environment_of(command: &Command) -> impl Iterator<Item = (&OsStr, &OsStr)> {
    let variables = command.get_envs();
    variables.filter_map(|(name, value)| Some((name, value?)))
}

/// Two hosts of one name: each candidate would go to whichever it likes.
#[test]
fn a_name_with_the_addresses_of_two_servers_is_refused_by_every_command() {
    let home = Home::new();
    let at = |host: &str, port: &str| {
        RedisServer::settings()
            .set("bind", &[host])
            .set("port", &[port])
            .start()
    };
    let port = crate::support::redis::free_port().to_string();
    let (_one, _other) = (at("127.0.0.1", &port), at("127.0.0.2", &port));
    let hosts = home.write(
        "hosts",
        "127.0.0.1 localhost redis.test single.test\n127.0.0.2 redis.test\n",
    );
    let run = |arguments: &[&str]| {
        let incumbent = home.command(arguments);
        let mut command = Command::new("unshare");
        command
            .args([
                "--mount",
                "sh",
                "-c",
                "mount --bind \"$0\" /etc/hosts && exec \"$@\"",
                &hosts,
            ])
            .arg(incumbent.get_program())
            .args(incumbent.get_args())
            .env_clear()
            .envs(environment_of(&incumbent));
        Ended::from(command.output().unwrap())
    };
    let two = format!("redis://redis.test:{port}");
    let single = format!("redis://single.test:{port}");
    run(&["run", "job", "--store", &two, "--", "true"]).assert(78, "leads to different servers");
    run(&["status", "job", "--store", &two]);
    let status = run(&["status", "job", "--store", &two]);
    assert_eq!(status.status, 78, "{status:#?}");
    assert!(status.stdout.contains("misconfigured"), "{status:#?}");
    let doctor = run(&["doctor", "job", "--store", &two]);
    assert_eq!(doctor.status, 2, "{doctor:#?}");
    for part in ["127.0.0.1", "127.0.0.2", "a store is one server"] {
        assert!(doctor.stdout.contains(part), "no {part:?} in {doctor:#?}");
    }
    assert_eq!(run(&["status", "job", "--store", &single]).status, 3);
}

/// As many commands as anyone starts find out what one that hangs costs: nothing.
#[test]
fn the_first_sentinel_of_the_list_may_hang() {
    let home = Home::new();
    let master = RedisServer::start();
    let sentinel = RedisServer::settings().sentinel("main", &master).start();
    let hung = RedisServer::start();
    hung.freeze();
    let store = format!(
        "redis+sentinel://127.0.0.1:{},127.0.0.1:{}/main",
        hung.port(),
        sentinel.port()
    );
    let status = home.run(&["status", "job", "--store", &store]);
    assert_eq!(status.status, 3, "{status:#?}");
    let mut leader = home.start(&[
        "run",
        "job",
        "--store",
        &store,
        "--",
        "sh",
        "-c",
        "echo >> led; exec cat",
    ]);
    home.wait_for_lines("led", 1);
    assert_eq!(leader.wait(), 0);
    hung.thaw();
}

#[test]
fn a_socket_without_permission_is_a_refusal_and_waiting_is_pointless() {
    let home = Home::new();
    let server = RedisServer::start();
    std::fs::set_permissions(server.directory(), PermissionsExt::from_mode(0o700)).unwrap();
    std::fs::set_permissions(home.path(""), PermissionsExt::from_mode(0o777)).unwrap();
    let url = server.unix_url();
    let run = ["run", "job", "--wait-timeout", "30s", "--store", &url];
    let incumbent = home.command(&[&run[..], &["--", "true"]].concat());
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(incumbent.get_program())
        .args(incumbent.get_args())
        .current_dir(home.path(""));
    Ended::from(command.output().unwrap()).assert(77, "Permission denied");
}

/// A server that is full says so and hangs up, often before it could be asked anything.
#[test]
fn the_words_of_a_server_that_hangs_up_at_once_are_read() {
    let home = Home::new();
    let server = RedisServer::settings().set("maxclients", &["1"]).start();
    let _only = server.connection();
    for store in [server.url(), server.unix_url()] {
        for _ in 0..5 {
            let status = home.run(&["status", "job", "--store", &store]);
            assert_eq!(status.status, 69, "{status:#?}");
            let said = status.stdout.contains("max number of clients reached");
            assert!(said, "{status:#?}");
        }
    }
}

/// A proxy, or an older server, that knows only version 2 of the protocol.
#[test]
fn a_server_that_refuses_hello_is_spoken_to_all_the_same() {
    let home = Home::new();
    let server = RedisServer::settings()
        .set("rename-command", &["HELLO", ""])
        .start();
    let mut leader = home.start(&["run", "job", "--store", &server.url(), "--", "true"]);
    assert_eq!(leader.wait(), 0);
}

#[test]
fn a_password_that_was_changed_is_noticed_before_the_connection_ends() {
    let home = Home::new();
    let server = RedisServer::start();
    let set_to = |password: &str| server.let_in("app", password);
    set_to("old");
    let file = home.write("password", "old\n");
    let store = server.url();
    let standby = home.start(&[
        "run",
        "job",
        "--store",
        &store,
        "--username",
        "app",
        "--password-file",
        &file,
        "--op-timeout",
        "100ms",
        "--",
        "sleep",
        "1000",
    ]);
    standby.wait_said("elected");
    set_to("new");
    standby.wait_said("a new connection to the store would fail");
    home.write("password", "new\n");
    standby.wait_said("new connections to the store can be made again");
}

/// A leader that is refused when it campaigns again was let in before: it is an outage, as for a standby.
#[test]
fn a_leader_that_is_refused_later_stands_by_until_it_is_let_in_again() {
    let home = Home::new();
    let server = RedisServer::start();
    let set_to = |password: &str| server.let_in("app", password);
    set_to("old");
    let file = home.write("password", "old\n");
    let program = format!("echo >> {}; exec sleep 1000", home.text_path("led"));
    let url = server.url();
    let leader = home.start(&[
        "run",
        "job",
        "--store",
        &url,
        "--username",
        "app",
        "--password-file",
        &file,
        "--interval",
        "200ms",
        "--stop-grace",
        "100ms",
        "--restart",
        "--",
        "sh",
        "-c",
        &program,
    ]);
    home.wait_for_lines("led", 1);
    set_to("new");
    server.command(&["CLIENT", "KILL", "USER", "app"]);
    leader.wait_said("trying again in 1s");
    home.write("password", "new\n");
    home.wait_for_lines("led", 2);
}

#[test]
fn a_password_is_taken_from_a_command() {
    let home = Home::new();
    let server = RedisServer::settings().password("token-1").start();
    let store = server.url().replace(":token-1@", "");
    let status =
        |options: &[&str]| home.run(&[&["status", "job", "--store", &store], options].concat());
    assert_eq!(
        status(&["--password-cmd", "echo token-$((2 - 1))"]).status,
        3
    );
    assert_eq!(status(&["--password-cmd", "echo wrong"]).status, 77);
    let failed = status(&["--password-cmd", "exit 7"]);
    assert_eq!(failed.status, 69, "{failed:#?}");
    assert!(failed.stdout.contains("exit status: 7"), "{failed:#?}");
    let file = home.write("password", "token-1");
    let both = status(&["--password-cmd", "x", "--password-file", &file]);
    assert_eq!(both.status, 78, "{both:#?}");
    let mut leader = home.start(&[
        "run",
        "job",
        "--store",
        &store,
        "--password-cmd",
        "echo token-1",
        "--",
        "true",
    ]);
    assert_eq!(leader.wait(), 0);
}

/// As when the size of a terminal changes while a token is fetched.
#[test]
fn a_password_command_goes_on_when_signals_interrupt_those_who_wait_for_it() {
    let home = Home::new();
    let server = RedisServer::settings().password("token-1").start();
    let store = server.url().replace(":token-1@", "");
    let command = "echo >> waits; until [ -e go ]; do sleep 0.01; done; echo token-1";
    let timing = ["--interval", "5s", "--stall-polls", "6"];
    let run = ["run", "job", "--store", &store, "--password-cmd", command];
    let candidate = home.start(&[&run[..], &timing, &["--", "true"]].concat());
    home.wait_for_lines("waits", 1);
    // Each of its threads, for a signal to the process is taken by one of them.
    for _ in 0..20 {
        for thread in fs::read_dir(format!("/proc/{}/task", candidate.pid())).unwrap() {
            let thread = thread.unwrap().file_name();
            interrupt(candidate.pid(), thread.to_str().unwrap().parse().unwrap());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    home.write("go", "");
    wait_until("it has written to the store", || {
        server.command(&["EXISTS", "incumbent:job"]) == redis::Value::Int(1)
    });
    candidate.assert_not_said("password command failed");
}

/// Sends a signal that is caught to one thread.
#[expect(unsafe_code, reason = "the library sends no signal to a thread")]
fn interrupt(process: u32, thread: i32) {
    // SAFETY: it takes numbers.
    unsafe { libc::syscall(libc::SYS_tgkill, process, thread, libc::SIGWINCH) };
}

/// Neither when a connection is given up, nor when incumbent exits, does any process of a password command remain.
#[test]
fn a_password_command_that_hangs_is_named_and_does_not_outlive_the_command() {
    let home = Home::new();
    let server = RedisServer::settings().password("token-1").start();
    let store = server.url().replace(":token-1@", "");
    let hang = "sleep 1000 & echo $! >> pids; wait; : s3cret";
    let status = home.run(&[
        "status",
        "job",
        "--store",
        &store,
        "--password-cmd",
        hang,
        "--op-timeout",
        "300ms",
    ]);
    assert_eq!(status.status, 69, "{status:#?}");
    for part in ["300ms", "the password command has not ended"] {
        assert!(
            status.stdout.contains(part),
            "no {part:?} in {}",
            status.stdout
        );
    }
    assert!(!status.stdout.contains("s3cret"), "{status:#?}");
    for pid in home.wait_for_lines("pids", 1) {
        let stat = format!("/proc/{pid}/stat");
        wait_until("nothing of the password command remains", || {
            !std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "))
        });
    }
}

/// The password of `<(command)` in a shell can be read once, and is needed for each connection.
#[test]
fn a_password_file_may_be_a_pipe_which_is_read_once() {
    let home = Home::new();
    let server = RedisServer::settings().password("token-1").start();
    let store = server.url().replace(":token-1@", "");
    let shell = |script: &str| {
        let incumbent = home.command::<&str>(&[]);
        let mut command = Command::new("bash");
        command
            .args(["-c", script])
            .arg(incumbent.get_program())
            .arg(&store)
            .env_clear()
            .envs(environment_of(&incumbent))
            .current_dir(home.path(""));
        command
    };
    // A connection for requests and one to listen, a configuration reloaded, and one more connection.
    let leader = home.start_command(shell(
        "exec \"$0\" run job --store \"$1\" --password-file <(echo token-1) -- \
         sh -c 'trap \"\" HUP; echo >> up; exec sleep 1000'",
    ));
    home.wait_for_lines("up", 1);
    leader.signal(Signal::HUP);
    leader.wait_said("configuration reloaded");
    server.command(&["CLIENT", "KILL", "TYPE", "normal"]);
    let slow = "exec \"$0\" status job --store \"$1\" --password-file <(sleep 0.1; echo token-1)";
    let status = Ended::from(shell(slow).output().unwrap());
    assert_eq!(status.status, 0, "{status:#?}");
    // Nobody writes to this one.
    let pipe = home.text_path("pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    home.run(&["status", "job", "--store", &store, "--password-file", &pipe])
        .assert(78, "not written to and closed within");
    let address = format!("redis+sentinel://127.0.0.1/main?sentinel-password-file={pipe}");
    home.run(&["status", "job", "--store", &address])
        .assert(78, "it is no regular file");
}

/// Waiting mends none of these, and no password does.
#[test]
fn an_address_that_means_another_kind_of_store_is_misconfigured() {
    let home = Home::new();
    let server = RedisServer::start();
    let sentinel = RedisServer::settings().sentinel("main", &server).start();
    let (server, sentinel) = (server.port(), sentinel.port());
    for (store, fragment) in [
        (
            format!("redis://127.0.0.1:{sentinel}"),
            "it is a sentinel, which keeps no elections: use redis+sentinel://",
        ),
        (
            format!("redis+sentinel://127.0.0.1:{server}/main"),
            "it is no sentinel",
        ),
        (
            format!("redis+cluster://127.0.0.1:{server}"),
            "is no node of a cluster",
        ),
        (
            format!("redis+cluster://127.0.0.1:{sentinel}"),
            "is no node of a cluster",
        ),
        (
            format!("redis://127.0.0.1:{server}/99"),
            "it has no database 99",
        ),
        ("sqlite:/tmp".to_owned(), "/tmp is a folder"),
        (
            "sqlite:/dev/null".to_owned(),
            "/dev/null is no regular file",
        ),
    ] {
        let status = home.run(&["status", "job", "--store", &store]);
        assert_eq!(status.status, 78, "{store}: {status:#?}");
        for part in [fragment, "misconfigured"] {
            assert!(status.stdout.contains(part), "no {part:?} in {status:#?}");
        }
        home.run(&["run", "job", "--store", &store, "--", "true"])
            .assert(78, fragment);
    }
}

#[test]
fn a_list_without_one_of_its_stores_says_that_it_is_incomplete() {
    let home = Home::new();
    let servers = [RedisServer::start(), RedisServer::start()];
    let [one, other] = servers.each_ref().map(RedisServer::url);
    let closed = crate::support::port::ClosedPort::new();
    let stores = ["--store", &one, "--store", &other, "--store", &closed.url()];
    home.run(&[&["list"], &stores[..]].concat()).assert(0, "");
    let run = [&["run", "job"], &stores[..], &["--", "true"]].concat();
    assert_eq!(home.run(&run).status, 0);
    let list = home.run(&[&["list"], &stores[..]].concat());
    list.assert(0, "the list is incomplete");
    assert!(list.stdout.contains("job"), "{list:#?}");
}

/// Looking a name up takes a thread. When the program has used up all that its user may have, that is a failed
/// attempt like any other.
#[test]
fn a_name_that_cannot_be_looked_up_for_want_of_a_thread_ends_no_candidate() {
    let home = Home::new();
    let server = RedisServer::start();
    std::fs::set_permissions(home.path(""), PermissionsExt::from_mode(0o777)).unwrap();
    let fork = "import os, signal\n\
        try:\n    while True:\n        if os.fork() == 0: signal.pause()\n\
        except OSError: open('full', 'w').close()\n\
        signal.pause()\n";
    let store = format!("redis://localhost:{}", server.port());
    let incumbent = home.command(&[
        "run",
        "job",
        "--store",
        &store,
        "--interval",
        "200ms",
        "--stop-grace",
        "100ms",
        "--",
        "python3",
        "-c",
        fork,
    ]);
    // The limit counts the processes of a user, so it is one that no one else is.
    let user = fastrand::u32(100_000..1_000_000);
    let mut command = Command::new("setpriv");
    command
        .args([
            format!("--reuid={user}"),
            format!("--regid={user}"),
            "--clear-groups".to_owned(),
        ])
        .args(["prlimit", "--nproc=60"])
        .arg(incumbent.get_program())
        .args(incumbent.get_args())
        .env_clear()
        .envs(environment_of(&incumbent))
        .current_dir(home.path(""))
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    wait_until("the program has used up its processes", || {
        home.path("full").exists()
    });
    server.command(&["CLIENT", "KILL", "TYPE", "normal"]);
    let ended = Ended::from(child.wait_with_output().unwrap());
    ended.assert(124, "no thread for the name lookup");
    assert!(!ended.stderr.contains("panicked"), "{ended:#?}");
}

/// What an election cannot do without is refused at the start, and what only a look at it needs keeps no one from
/// leading.
#[test]
fn a_permission_that_is_missing_is_refused_or_does_without() {
    let home = Home::new();
    let server = RedisServer::start();
    let without = |command: &str| {
        let denied = format!("-{command}");
        server.command(&[
            "ACL", "SETUSER", "elector", "reset", "on", ">pw", "~*", "&*", "+@all", &denied,
        ]);
        home.command(&[
            "run",
            command,
            "--store",
            &format!("redis://elector:pw@127.0.0.1:{}", server.port()),
            "--interval",
            "200ms",
            "--stop-grace",
            "100ms",
            "--wait-timeout",
            "30s",
            "--",
            "touch",
            command,
        ])
    };
    let refused = Ended::from(without("incr").output().unwrap());
    refused.assert(77, "incr");
    assert!(!home.path("incr").exists());
    let led = Ended::from(without("zrevrange").output().unwrap());
    led.assert(0, "cannot read the other candidates");
    assert!(home.path("zrevrange").exists());
}
