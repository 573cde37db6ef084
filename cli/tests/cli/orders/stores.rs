//! Orders on a quorum, by a user of a Redis, and on a file.

use super::*;

#[test]
fn orders_go_to_three_stores_and_count_with_two_of_them() {
    let mut fleet = Fleet::on(3, &["a", "b"]);
    let down = fleet.stores[3].clone();
    fleet.servers[1].kill();
    let paused = fleet.order(&["pause", "--reason", "new disks"]);
    assert_eq!(paused.status, 0, "{paused:#?}");
    let missing: Vec<&str> = paused.stdout.lines().skip(1).collect();
    assert_eq!(missing.len(), 1, "{paused:#?}");
    assert!(
        missing[0].starts_with("  not taken by a minority: ") && missing[0].contains(&down),
        "{paused:#?}"
    );
    // The third comes back with nothing, and two that are paused are enough.
    fleet.servers[1].start_again();
    assert_eq!(fleet.status()["paused"]["reason"], "new disks");
    let json = fleet.order(&["resume", "-o", "json"]).json();
    assert_eq!(
        (&json["order"], &json["majority"]),
        (&"resume".into(), &2.into())
    );
    let states: Vec<&Value> = (0..3).map(|at| &json["stores"][at]["state"]).collect();
    assert_eq!(states, ["ok", "ok", "ok"]);
    assert_eq!(fleet.status()["paused"], Value::Null);

    fleet.servers[1].kill();
    let to = fleet.id_of("b");
    let moved = fleet.order(&["resign", "--to", &to, "--wait", "-o", "json"]);
    assert_eq!(moved.status, 0, "{moved:#?}");
    let json = moved.json();
    assert_eq!(json["leader"]["id"], to.as_str());
    assert!(json["gap_ms"].is_u64(), "{moved:#?}");
    assert_eq!(json["stores"][1]["state"], "unreachable");

    let deposed = fleet.depose_at_once(&["-o", "json"]);
    assert_eq!(deposed.status, 0, "{deposed:#?}");
    assert_eq!(deposed.json()["stores"].as_array().unwrap().len(), 2);
    // The deposed leader exits, and the other candidate follows.
    assert_eq!(fleet.running[1].wait(), 124);
    wait_until("a leads", || is_led_by(&fleet.status(), "a"));

    fleet.servers[2].kill();
    for order in ["pause", "resume"] {
        let refused = fleet.order(&[order]);
        refused.assert(69, "1 of the 2 stores needed took the order");
        assert!(refused.stderr.contains(&down), "{refused:#?}");
    }
    fleet.order(&["resign"]).assert(
        69,
        "no majority of the stores of election \"job\" can be read",
    );
}

#[test]
fn an_order_is_given_by_a_user_with_a_name() {
    let (home, server) = (Home::new(), RedisServer::start());
    let url = server.url();
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap();
    let uid = format!(":{}:", rustix::process::getuid().as_raw());
    let line = passwd.lines().find(|line| {
        let rest = line.splitn(3, ':').nth(2).unwrap_or_default();
        format!(":{rest}").starts_with(&uid)
    });
    let login = line.and_then(|line| line.split(':').next());
    let login = login.map_or(format!("uid-{}", uid.trim_matches(':')), str::to_owned);
    // The most telling name counts, and one that is empty is none.
    for (variables, expected) in [
        (&[][..], login.as_str()),
        (&[("USER", ""), ("SUDO_USER", "")], &login),
        (&[("USER", "bob")], "bob"),
        (&[("USER", "root"), ("SUDO_USER", "alice")], "alice"),
    ] {
        let pause = ["pause", "job", "--store", &url];
        assert_eq!(home.run_with(variables, &pause).status, 0);
        let status = home.run(&["status", "job", "--store", &url, "-o", "json"]);
        let by = status.json()["paused"]["by"].as_str().unwrap().to_owned();
        let (user, host) = by.split_once('@').unwrap();
        assert_eq!(user, expected, "{variables:?}");
        assert!(!host.is_empty(), "{by}");
    }
}

#[test]
fn orders_on_a_file_do_the_same() {
    let mut fleet = Fleet::standing_by(0, Home::new());
    let file = format!("sqlite:{}", fleet.home.text_path("elections.db"));
    fleet.stores = vec!["--store".to_owned(), file];
    let program = leader(&fleet.home.path("led"));
    for (count, name) in [(1, "a"), (2, "b"), (3, "c")] {
        fleet.add(name, &program);
        fleet.home.wait_for_lines("led", 1);
        wait_until("all campaign", || fleet.candidates().len() == count);
    }
    let to = fleet.id_of("c");
    let moved = fleet.order(&["resign", "--to", &to, "--wait", "-o", "json"]);
    assert_eq!(moved.status, 0, "{moved:#?}");
    assert_eq!(moved.json()["leader"]["id"], to.as_str());
    assert_eq!(fleet.order(&["pause", "--reason", "new disks"]).status, 0);
    assert_eq!(fleet.status()["paused"]["reason"], "new disks");
    fleet.running[2].signal(Signal::TERM);
    assert_eq!(fleet.running[2].wait(), 0);
    wait_until("it is released", || fleet.status()["state"] == "vacant");
    let refused = fleet.order(&["resign"]);
    refused.assert(3, "it is vacant");
    assert_eq!(fleet.home.lines("led").len(), 2, "no one is elected");
    assert_eq!(fleet.order(&["resume"]).status, 0);
    fleet.home.wait_for_lines("led", 3);
    let history = fleet.order(&["history", "-o", "json"]).json();
    let orders = history["orders"].as_array().unwrap();
    let orders: Vec<&Value> = orders.iter().map(|one| &one["order"]).collect();
    assert_eq!(orders, ["resumed", "paused", "asked-to-resign"]);
    assert_eq!(history["terms"][0]["ended"], Value::Null);
    assert_eq!(history["terms"][1]["ended"], "released");
    assert_eq!(history["terms"][2]["ended"], "requested");
    assert_eq!(fleet.depose_at_once(&[]).status, 0);
}
