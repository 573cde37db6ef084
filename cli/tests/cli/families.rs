//! A name with an IPv4 and an IPv6 address: both lead to one server, or the store is refused.

use std::io;
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use super::home::{Ended, Home, wait_until};
use super::reaching::environment_of;
use crate::support::redis::RedisServer;

/// The command on a host that finds both loopback addresses under one name.
fn command(home: &Home, arguments: &[&str]) -> Command {
    const MOUNTED: &str = "mount --bind \"$1\" /etc/hosts; shift; exec \"$@\"";
    let hosts = home.write("hosts", "127.0.0.1 both.test\n::1 both.test\n");
    let incumbent = home.command(arguments);
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-ec", MOUNTED, "sh", &hosts])
        .arg(incumbent.get_program())
        .args(incumbent.get_args())
        .env_clear()
        .envs(environment_of(&incumbent))
        .current_dir(home.path(""))
        .stdin(Stdio::null());
    command
}

fn status(home: &Home, port: u16) -> Ended {
    let store = format!("redis://both.test:{port}");
    let mut command = command(home, &["status", "job", "--store", &store]);
    Ended::from(command.output().unwrap())
}

#[test]
fn a_name_whose_two_addresses_lead_to_two_servers_is_refused() {
    let (home, four) = (Home::new(), RedisServer::start());
    let six = RedisServer::settings()
        .set("bind", &["::1"])
        .set("port", &[&four.port().to_string()])
        .start();
    // One command alone may find one of them too slow to compare.
    let refused = |said: &str, code| {
        wait_until(said, || {
            let ended = status(&home, four.port());
            ended.status == code && ended.stdout.contains(said)
        });
    };
    refused("leads to different servers", 78);
    // What answers is a server, whatever it answers.
    six.command(&["CONFIG", "SET", "requirepass", "right"]);
    refused("one of its addresses ([::1]:", 77);
}

#[test]
fn a_name_whose_second_address_leads_to_the_same_server_or_nowhere_is_used() {
    let (home, four) = (Home::new(), RedisServer::start());
    let both = RedisServer::settings()
        .set("bind", &["127.0.0.1", "::1"])
        .start();
    for port in [both.port(), four.port()] {
        let ended = status(&home, port);
        assert_eq!(ended.status, 3, "{ended:#?}");
    }
    // It takes connections and never answers.
    let _silent = TcpListener::bind(("::1", four.port())).unwrap();
    let ended = status(&home, four.port());
    assert_eq!(ended.status, 3, "{ended:#?}");
}

/// The first connection does not wait for it, and a leader finds out soon.
#[test]
fn an_address_that_answers_late_is_compared_later() {
    let (home, four, six) = (Home::new(), RedisServer::start(), RedisServer::start());
    let (late, port) = (TcpListener::bind(("::1", four.port())).unwrap(), six.port());
    thread::spawn(move || {
        for client in late.incoming() {
            thread::spawn(move || {
                thread::sleep(Duration::from_millis(300));
                let (mut client, mut server) = (client?, TcpStream::connect(("127.0.0.1", port))?);
                let (mut questions, mut answers) = (client.try_clone()?, server.try_clone()?);
                thread::spawn(move || io::copy(&mut questions, &mut server));
                io::copy(&mut answers, &mut client)
            });
        }
    });
    let store = format!("redis://both.test:{}", four.port());
    let run = ["run", "job", "--store", &store, "--", "sleep", "1000"];
    let candidate = home.start_command(command(&home, &run));
    candidate.wait_said("leads to different servers");
}
