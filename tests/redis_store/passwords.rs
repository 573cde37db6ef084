//! Users, and passwords that change while a candidate runs.

use incumbent::store::{Password, StoreAddress, StoreError};

use crate::election::{Election, options};
use crate::faults::until;
use crate::support::redis::RedisServer;

fn logging_in(server: &RedisServer, user: &str, password: Password) -> Election {
    let address: StoreAddress = format!("redis://{user}127.0.0.1:{}", server.port())
        .parse()
        .unwrap();
    let options = options().password(password);
    Election::with(&address, &options, "billing", "a")
}

#[tokio::test]
async fn a_password_that_is_changed_on_disk_serves_the_next_connection() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("password");
    std::fs::write(&path, "old\n").unwrap();
    let server = RedisServer::start();
    let set_to = |password: &str| server.let_in("app", password);
    for password in [
        Password::File(path.clone()),
        Password::Command(format!("cat {}", path.display())),
    ] {
        std::fs::write(&path, "old\n").unwrap();
        set_to("old");
        let a = logging_in(&server, "app@", password);
        a.observe().await.unwrap();
        set_to("new");
        server.command(&["CLIENT", "KILL", "USER", "app"]);
        until("the old password is refused", async || {
            matches!(a.observe().await, Err(StoreError::Denied { .. }))
        })
        .await;
        std::fs::write(&path, "new\n").unwrap();
        until("the new password is used", async || {
            a.observe().await.is_ok()
        })
        .await;
    }
}

#[tokio::test]
async fn a_password_that_cannot_be_had_is_no_refusal_by_the_server() {
    let server = RedisServer::settings().password("secret").start();
    let a = logging_in(&server, "", Password::File("/no/such/file".into()));
    let error = a.observe().await.unwrap_err();
    assert!(matches!(error, StoreError::Misconfigured { .. }), "{error}");
    assert!(error.to_string().contains("/no/such/file"), "{error}");

    // The source of the tokens may be back in a moment.
    let a = logging_in(&server, "", Password::Command("exit 4".to_owned()));
    let error = a.observe().await.unwrap_err();
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("exit status: 4"), "{error}");
}

/// Without a log-in the server would take the client for its default user, who may do anything.
#[tokio::test]
async fn a_user_without_a_password_is_logged_in_as_that_user() {
    let server = RedisServer::start();
    server.command(&["ACL", "SETUSER", "app", "on", "nopass", "~*", "&*", "+@all"]);
    server.command(&[
        "ACL", "SETUSER", "locked", "on", ">secret", "~*", "&*", "+@all",
    ]);
    let election = |user: &str| {
        let url = format!("redis://{user}@127.0.0.1:{}", server.port());
        Election::new(&url.parse().unwrap(), "a")
    };
    let a = election("app");
    a.observe().await.unwrap();
    let clients = server.text(&["CLIENT", "LIST"]);
    assert!(clients.contains(" user=app "), "{clients}");
    for user in ["locked", "nobody"] {
        let error = election(user).observe().await.unwrap_err();
        assert!(matches!(error, StoreError::Denied { .. }), "{error}");
    }
}

/// As with a client that sends a password to a server which has none.
#[tokio::test]
async fn a_password_that_the_server_does_not_ask_for_does_no_harm() {
    let server = RedisServer::start();
    let a = logging_in(&server, "", "superfluous".into());
    a.win(7).await;
}
