//! The examples of python-redis-lock's README, with locks that do not expire while their holder is at work.
//!
//! ```text
//! cargo run --example locks -- redis://db.example/
//! ```
//!
//! The store may also stand in `INCUMBENT_STORE`.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use incumbent::lock::Locks;

type Outcome = Result<(), Box<dyn std::error::Error>>;

#[tokio::main]
async fn main() -> Outcome {
    let store = std::env::args()
        .nth(1)
        .or_else(|| std::env::var("INCUMBENT_STORE").ok())
        .unwrap_or_else(|| {
            format!(
                "sqlite:{}/incumbent-example.db",
                std::env::temp_dir().display()
            )
        });
    let locks = Locks::builder().store(store).build()?;
    non_blocking(&locks).await?;
    context_manager(&locks).await?;
    lifetime(&locks).await?;
    timeout(&locks).await?;
    owner(&locks).await?;
    dogpile(&locks).await?;
    // What was dropped is released before the process exits.
    locks.finished().await;
    Ok(())
}

/// `if lock.acquire(blocking=False): … else: …`
async fn non_blocking(locks: &Locks) -> Outcome {
    let lock = locks.lock("name-of-the-lock")?;
    match lock.try_acquire().await {
        Ok(guard) => {
            println!("got the lock");
            guard.release().await;
        }
        Err(error) if error.is_held() => println!("someone else has the lock"),
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// `with redis_lock.Lock(conn, "name-of-the-lock"): …`
async fn context_manager(locks: &Locks) -> Outcome {
    let guard = locks.lock("name-of-the-lock")?.acquire().await?;
    println!("got the lock, doing some work");
    tokio::time::sleep(Duration::from_millis(20)).await;
    guard.check()?; // Before each side effect.
    Ok(())
} // Released here.

/// `Lock(conn, name, expire=60, auto_renewal=True)`: it is always renewed while it is held, and the lock of a process
/// that died is free after the failover time.
async fn lifetime(locks: &Locks) -> Outcome {
    let guard = locks.lock("name-of-the-lock")?.acquire().await?;
    println!(
        "kept, and free after {:?} if this process dies",
        locks.timing().window()
    );
    tokio::select! {
        reason = guard.lost() => println!("stop working: {reason}"),
        () = tokio::time::sleep(Duration::from_millis(20)) => println!("done, and still held: {}", guard.check().is_ok()),
    }
    guard.release().await;
    Ok(())
}

/// `lock.acquire(timeout=…)`
async fn timeout(locks: &Locks) -> Outcome {
    let lock = locks.lock("name-of-the-lock")?;
    let guard = lock.acquire().await?;
    let wait = Duration::from_millis(50);
    match lock.acquire_timeout(wait).await {
        Ok(_) => return Err("two hold the lock".into()),
        Err(error) => println!("timed out: {}", error.is_held()),
    }
    guard.release().await;
    Ok(())
}

/// `lock.id` and `lock.get_owner_id()`. In place of `reset()`, `incumbent depose` removes a holder whose heartbeat has
/// stalled, and no one else.
async fn owner(locks: &Locks) -> Outcome {
    let lock = locks.lock("name-of-the-lock")?;
    let guard = lock.acquire().await?;
    let status = lock.status().await;
    let holder = status.leader().ok_or("no one holds the lock")?;
    println!(
        "held by this process: {}",
        holder.term == guard.fencing_token()
    );
    guard.release().await;
    Ok(())
}

/// `with cache.lock(key): …`, against a thundering herd: one computes what all need.
async fn dogpile(locks: &Locks) -> Outcome {
    static CACHE: Mutex<Option<HashMap<&str, u64>>> = Mutex::new(None);
    fn cached(key: &str) -> Option<u64> {
        CACHE.lock().ok()?.as_ref()?.get(key).copied()
    }
    let mut computed = 0;
    for _ in 0..3 {
        if cached("key").is_some() {
            continue;
        }
        let _guard = locks.lock("cache:key")?.acquire().await?;
        if cached("key").is_none() {
            computed += 1;
            if let Ok(mut cache) = CACHE.lock() {
                cache.get_or_insert_default().insert("key", 42);
            }
        }
    }
    println!("computed {computed} times");
    Ok(())
}
