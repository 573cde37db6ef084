//! The fence around a command of a Redis.

use incumbent::fence::{FenceError, FencingToken, RedisFence};

use super::support::redis::RedisServer;
use super::term;

#[tokio::test]
async fn a_redis_fence_guards_any_command_and_hands_back_its_reply() {
    let server = RedisServer::start();
    let client = redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let fence = RedisFence::new("{book}:token");
    fence.raise(&mut connection, term(4)).await.unwrap();
    assert_eq!(server.text(&["GET", "{book}:token"]), "4");

    let put = redis::cmd("HSET")
        .arg("{book}")
        .arg("a b")
        .arg(&b"\0\xff"[..])
        .to_owned();
    let added: u32 = fence
        .run(&mut connection, term(4), &["{book}"], &put)
        .await
        .unwrap();
    assert_eq!(added, 1);
    server.command(&["SCRIPT", "FLUSH"]);
    let get = redis::cmd("HGET").arg("{book}").arg("a b").to_owned();
    let kept: Vec<u8> = fence
        .run(&mut connection, term(5), &["{book}"], &get)
        .await
        .unwrap();
    assert_eq!(kept, b"\0\xff");
    let missing = redis::cmd("HGET").arg("{book}").arg("c").to_owned();
    let nothing: Option<String> = fence
        .run(&mut connection, term(5), &["{book}"], &missing)
        .await
        .unwrap();
    assert_eq!(nothing, None);
    let late: Result<u32, _> = fence.run(&mut connection, term(4), &["{book}"], &put).await;
    assert!(late.unwrap_err().is_stale());

    // A command that fails leaves the fence up, and says what the server said.
    let wrong = redis::cmd("INCR").arg("{book}").to_owned();
    let failed: Result<u64, _> = fence
        .run(&mut connection, term(6), &["{book}"], &wrong)
        .await;
    let message = failed.unwrap_err().to_string();
    assert!(message.contains("WRONGTYPE"), "{message}");
    assert_eq!(server.text(&["GET", "{book}:token"]), "6");

    let mut long = redis::cmd("RPUSH");
    long.arg("{list}")
        .arg(vec!["x"; RedisFence::MAX_ARGUMENTS - 2]);
    let pushed: usize = fence
        .run(&mut connection, term(6), &["{list}"], &long)
        .await
        .unwrap();
    assert_eq!(pushed, RedisFence::MAX_ARGUMENTS - 2);
    long.arg("one too many");
    let refused: Result<usize, _> = fence
        .run(&mut connection, term(6), &["{list}"], &long)
        .await;
    assert!(
        matches!(refused, Err(FenceError::Command { .. })),
        "{refused:?}"
    );

    for garbage in [
        "seven",
        "-1",
        "7.5",
        "",
        "90071992547409920",
        "9007199254740992",
    ] {
        server.command(&["SET", "{book}:token", garbage]);
        let refused: Result<u32, _> = fence
            .run(&mut connection, FencingToken::MAX, &["{book}"], &put)
            .await;
        assert!(
            matches!(refused, Err(FenceError::Garbled { .. })),
            "{garbage:?}: {refused:?}"
        );
    }
}
