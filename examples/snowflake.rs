//! Unique 64-bit ids from any number of workers on any number of hosts, in the shape of Twitter's Snowflake.
//!
//! ```text
//! cargo run --example snowflake -- 10000 redis://db.example/
//! ```
//!
//! An id is 50 bits of a fencing token, 6 bits of the number of a seat, and 7 bits that count. The tokens of one seat
//! rise from each holder to the next, so no two ids are the same, whatever any clock shows: a worker whose clock goes
//! back, or that was frozen while its seat went to another, still counts under its own token. Tokens follow the
//! clock of the store, so ids are roughly in the order of time. After 128 ids a worker takes a seat anew, which takes
//! a round trip or two.
//!
//! The store may also stand in `INCUMBENT_STORE`.

use incumbent::lock::{Guard, Locks, Seat, Seats};

type Error = Box<dyn std::error::Error + Send + Sync>;

const TOKEN_BITS: u32 = 50;
const SEAT_BITS: u32 = 6;
const COUNT_BITS: u32 = 7;
/// Tokens begin at the clock of the store in microseconds: this is 2025-01-01. They last until 2060.
const EPOCH: u64 = 1_735_689_600_000_000;

/// Makes ids, as one of at most 63 workers: each needs another seat for a moment when it takes one anew.
struct Snowflakes {
    workers: Seats,
    seat: Seat<Guard>,
    count: u64,
}

impl Snowflakes {
    async fn new(locks: &Locks) -> Result<Self, Error> {
        let workers = locks.lock("snowflake")?.seats(1 << SEAT_BITS)?;
        let seat = workers.acquire().await?;
        let count = 0;
        Ok(Self {
            workers,
            seat,
            count,
        })
    }

    async fn id(&mut self) -> Result<u64, Error> {
        if self.count == 1 << COUNT_BITS {
            // The old seat is released once the new one is held.
            self.seat = self.workers.acquire().await?;
            self.count = 0;
        }
        let token = self.seat.fencing_token().get();
        let time = token
            .checked_sub(EPOCH)
            .filter(|time| *time < 1 << TOKEN_BITS);
        let time =
            time.ok_or_else(|| format!("the token {token} does not fit: set the store's clock"))?;
        let id = (time << SEAT_BITS | u64::from(self.seat.number())) << COUNT_BITS | self.count;
        self.count += 1;
        Ok(id)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let wanted: u32 = arguments.next().as_deref().unwrap_or("10").parse()?;
    let store = arguments
        .next()
        .or_else(|| std::env::var("INCUMBENT_STORE").ok())
        .unwrap_or_else(|| {
            format!(
                "sqlite:{}/incumbent-example.db",
                std::env::temp_dir().display()
            )
        });
    let locks = Locks::builder().store(store).build()?;
    let mut snowflakes = Snowflakes::new(&locks).await?;
    for _ in 0..wanted {
        println!("{}", snowflakes.id().await?);
    }
    drop(snowflakes);
    locks.finished().await;
    Ok(())
}
