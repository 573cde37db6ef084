//! Random tests whose failures can be replayed.

use std::fmt::Debug;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};

/// The variable that fixes the seed.
const SEED: &str = "INCUMBENT_TEST_SEED";

/// Runs `test` on `cases` random inputs. A failure shows the smallest input found, the seed, and the
/// command that runs the same inputs again; `place` is the arguments of `cargo test` that select it.
pub fn check<S: Strategy>(
    place: &str,
    cases: u32,
    inputs: &S,
    test: impl Fn(S::Value) -> Result<(), TestCaseError>,
) where
    S::Value: Debug,
{
    let seed = match std::env::var(SEED) {
        Ok(seed) => seed
            .parse()
            .unwrap_or_else(|_| panic!("{SEED}={seed:?} is not a number")),
        Err(_) => fastrand::u64(..),
    };
    let mut runner = TestRunner::new(Config {
        cases,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        ..Config::default()
    });
    if let Err(failure) = runner.run(inputs, test) {
        panic!("{failure}\nreplay: {SEED}={seed} cargo test {place}");
    }
}
