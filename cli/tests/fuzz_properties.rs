//! Nothing that reads bytes from outside panics, or takes more memory than they are worth, whatever they
//! are: arbitrary bytes, and valid ones that were damaged. The fuzz targets in `fuzz/` go on from here
//! for as long as one likes.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;
use support::seed;

#[path = "../../tests/support/mod.rs"]
mod support;
#[path = "../../tests/support/untrusted.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "the configuration is read here by a part of what ships"
)]
mod untrusted;

/// Counts the peak of what a thread has allocated.
struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn count(change: isize) {
    let held = HELD.get() + change;
    HELD.set(held);
    PEAK.set(PEAK.get().max(held));
}

// SAFETY: every call is passed on to the system's allocator as it came; the counters are plain cells of
// the thread, which neither allocate nor have a destructor.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-layout.size().cast_signed());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most that a reader may hold at a time for this many bytes of input.
fn worth(bytes: usize) -> isize {
    ((1 << 18) + 128 * bytes).cast_signed()
}

fn read(reads: untrusted::Reads, bytes: &[u8]) -> bool {
    PEAK.set(HELD.get());
    let before = HELD.get();
    let valid = reads(bytes);
    let peak = PEAK.get() - before;
    assert!(
        peak <= worth(bytes.len()),
        "{peak} bytes were allocated for {} bytes of input: {:.200}",
        bytes.len(),
        String::from_utf8_lossy(bytes)
    );
    valid
}

/// The valid inputs that a reader's fuzz target starts from.
fn seeds(name: &str) -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/seeds")
        .join(name);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
        .into_iter()
        .map(|path| fs::read(path).unwrap())
        .collect()
}

/// What happens to bytes on their way.
#[derive(Clone, Debug)]
enum Damage {
    Flip(prop::sample::Index, u8),
    Insert(prop::sample::Index, Vec<u8>),
    Remove(prop::sample::Index, u8),
    Repeat(prop::sample::Index, u16),
    Cut(prop::sample::Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let telling: Vec<Vec<u8>> = [
        "\0",
        "\n",
        "\r\n",
        "%",
        "@",
        "[",
        "]",
        "{",
        "}",
        "|",
        "\"",
        "\\",
        "=",
        "-1",
        "1e99",
        "é",
        "18446744073709551616",
        "9223372036854775807",
        "9007199254740992",
        "*2147483647\r\n",
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .collect();
    let inserted = prop_oneof![
        prop::sample::select(telling),
        prop::collection::vec(any::<u8>(), 1..8),
    ];
    prop_oneof![
        (any::<prop::sample::Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Flip(at, byte)),
        (any::<prop::sample::Index>(), inserted).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        (any::<prop::sample::Index>(), 1..20_u8).prop_map(|(at, many)| Damage::Remove(at, many)),
        (any::<prop::sample::Index>(), 1..2000_u16).prop_map(|(at, many)| Damage::Repeat(at, many)),
        any::<prop::sample::Index>().prop_map(Damage::Cut),
    ]
}

fn damaged(mut bytes: Vec<u8>, damages: &[Damage]) -> Vec<u8> {
    for damage in damages {
        if bytes.is_empty() {
            return bytes;
        }
        let length = bytes.len();
        match damage {
            Damage::Flip(at, byte) => bytes[at.index(length)] = *byte,
            Damage::Insert(at, inserted) => {
                let at = at.index(length + 1);
                bytes.splice(at..at, inserted.iter().copied());
            }
            Damage::Remove(at, many) => {
                let at = at.index(length);
                bytes.drain(at..length.min(at + usize::from(*many)));
            }
            Damage::Repeat(at, many) => {
                let at = at.index(length);
                let repeated = vec![bytes[at]; usize::from(*many)];
                bytes.splice(at..at, repeated);
            }
            Damage::Cut(at) => bytes.truncate(at.index(length)),
        }
    }
    bytes
}

#[test]
fn every_seed_is_read_as_valid_so_the_damage_begins_at_something() {
    for (name, reads) in untrusted::ALL {
        let seeds = seeds(name);
        assert!(seeds.len() >= 3, "{name} has {} seeds", seeds.len());
        for seed in seeds {
            let shown = String::from_utf8_lossy(&seed);
            assert!(read(*reads, &seed), "{name}: {shown:?}");
        }
    }
}

#[test]
fn arbitrary_bytes_neither_break_a_reader_nor_fill_the_memory() {
    for (name, reads) in untrusted::ALL {
        let bytes = prop::collection::vec(any::<u8>(), 0..2000);
        seed::check("--test fuzz_properties arbitrary", 300, &bytes, |bytes| {
            read(*reads, &bytes);
            Ok(())
        });
        let text = "\\PC{0,400}";
        seed::check("--test fuzz_properties arbitrary", 300, &text, |text| {
            read(*reads, text.as_bytes());
            Ok(())
        });
        eprintln!("{name}: 600 arbitrary inputs");
    }
}

#[test]
fn valid_bytes_that_were_damaged_neither_break_a_reader_nor_fill_the_memory() {
    for (name, reads) in untrusted::ALL {
        let inputs = (
            prop::sample::select(seeds(name)),
            prop::collection::vec(damage(), 1..4),
        );
        let valid = Cell::new(0);
        seed::check(
            "--test fuzz_properties damaged",
            600,
            &inputs,
            |(bytes, damages)| {
                let bytes = damaged(bytes, &damages);
                valid.set(valid.get() + u32::from(read(*reads, &bytes)));
                Ok(())
            },
        );
        eprintln!(
            "{name}: 600 damaged inputs, {} of them still valid",
            valid.get()
        );
    }
}

#[test]
fn long_bytes_take_memory_in_proportion_and_no_stack_without_end() {
    for (name, reads) in untrusted::ALL {
        for seed in seeds(name) {
            for byte in *b"a[{0=\n\"/*" {
                for at in [0, seed.len() / 2, seed.len()] {
                    let mut long = seed.clone();
                    long.splice(at..at, vec![byte; 30_000]);
                    read(*reads, &long);
                }
            }
        }
    }
}

#[test]
fn no_password_shows_in_what_an_address_displays_or_an_error_says() {
    let places = prop::sample::select(vec![
        "redis://user:PASSWORD@host/",
        "redis://:PASSWORD@host:1/0",
        "redis://user:PASSWORD@host:port/",
        "rediss://:PASSWORD@[::1]/17?ca=",
        "redis+unix://:PASSWORD@/run/redis.sock?db=2",
        "redis+unix://:PASSWORD@",
        "redis+sentinel://u:PASSWORD@a,b:2/service/1",
        "redis+sentinel://u:PASSWORD@a,b:2/",
        "redis+cluster://:PASSWORD@a,b:70000",
        "redos://:PASSWORD@host/",
        "//:PASSWORD@host/",
        ":PASSWORD@host",
    ]);
    let inputs = (
        places,
        "[a-z0-9]{12,20}",
        prop::collection::vec(damage(), 0..2),
    );
    seed::check(
        "--test fuzz_properties no_password",
        2000,
        &inputs,
        |(place, password, damages)| {
            use incumbent::store::StoreAddress;

            let bytes = damaged(place.as_bytes().to_vec(), &damages);
            let Ok(text) = String::from_utf8(bytes) else {
                return Ok(());
            };
            // Damage before the password may make a part of the path of it, which is shown.
            let (before, _) = place.split_once("PASSWORD").expect("every place has one");
            let is_password = text.starts_with(&format!("{before}PASSWORD@"));
            let address = text.replace("PASSWORD", &password).parse::<StoreAddress>();
            let told = match &address {
                Ok(address) => format!("{address} {address:?}"),
                Err(error) => format!("{error} {error:?}"),
            };
            prop_assert!(!is_password || !told.contains(&password), "{}", told);
            Ok(())
        },
    );
}
