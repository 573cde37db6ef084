//! Every message survives the wire however it is cut, and nothing on the wire can do harm.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Debug;
use std::os::unix::ffi::OsStringExt;

use proptest::prelude::*;
use serde::de::DeserializeOwned;

use super::super::signals::Inherited;
use super::super::wire::{Inbox, Malformed, Outbox, read};
use super::*;

fn words() -> impl Strategy<Value = OsString> {
    prop::collection::vec(1..=255_u8, 0..20).prop_map(OsString::from_vec)
}

fn programs() -> impl Strategy<Value = Program> {
    (
        prop::collection::vec(words(), 1..5),
        prop::collection::btree_map(words(), words(), 0..5),
        any::<bool>(),
        prop::sample::select(vec![Signal::TERM, Signal::QUIT]),
    )
        .prop_map(|(command, environment, stdin, stop_signal)| Program {
            command,
            environment,
            stdin,
            stop_signal,
            inherited: Inherited {
                blocked: 1 << 14,
                ignored: 1,
            },
        })
}

fn timestamps() -> impl Strategy<Value = Timestamp> {
    any::<u64>().prop_map(Timestamp::from_nanos)
}

fn pids() -> impl Strategy<Value = Vec<i32>> {
    prop::collection::vec(1..i32::MAX, 0..=wire::MOST_PIDS)
}

fn causes() -> impl Strategy<Value = Cause> {
    prop_oneof![
        Just(Cause::Asked),
        Just(Cause::Deadline),
        Just(Cause::StopTimeout),
        Just(Cause::Orphaned),
    ]
}

fn orders() -> impl Strategy<Value = Order> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..100).prop_map(Order::Context),
        (
            "[a-z0-9.-]{1,50}",
            "[a-z]{1,20}",
            any::<u32>(),
            0..1_u64 << 53
        )
            .prop_map(|(id, host, pid, term)| Order::Hold {
                who: Identity::new(id.parse().unwrap(), &host, pid, "0.1.0").unwrap(),
                term: FencingToken::new(term).unwrap(),
            }),
        Just(Order::Released),
        (programs(), timestamps(), any::<u64>()).prop_map(|(program, deadline, grace)| {
            Order::Start {
                program,
                deadline,
                grace: Duration::from_nanos(grace),
            }
        }),
        timestamps().prop_map(Order::Deadline),
        prop::sample::select(vec![Signal::HUP, Signal::USR1, Signal::WINCH])
            .prop_map(Order::Signal),
        timestamps().prop_map(|by| Order::Stop { by }),
        Just(Order::Kill),
    ]
}

fn containments() -> impl Strategy<Value = Containment> {
    (
        prop::option::of(words()),
        any::<bool>(),
        any::<bool>(),
        prop::option::of(".{0,20}"),
    )
        .prop_map(|(path, pid_namespace, hidden, unfenced)| Containment {
            cgroup: path.map(Into::into),
            pid_namespace,
            hidden,
            unfenced,
        })
}

fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        (containments(), any::<bool>(), any::<bool>()).prop_map(
            |(containment, memory_locked, real_time)| Event::Ready {
                containment,
                memory_locked,
                real_time,
            }
        ),
        ".{0,20}".prop_map(Event::Uncontained),
        (1..i32::MAX).prop_map(Event::Started),
        prop_oneof![
            Just(StartFailure::NotFound),
            Just(StartFailure::TooLate),
            (1..200).prop_map(|errno| StartFailure::NotExecutable { errno }),
            (1..200).prop_map(|errno| StartFailure::System { errno }),
        ]
        .prop_map(Event::NotStarted),
        causes().prop_map(Event::Stopping),
        causes().prop_map(Event::Killing),
        any::<u8>().prop_map(|code| Event::Exited(ProgramExit::Code(code))),
        (1..65_u8).prop_map(|signal| Event::Exited(ProgramExit::Signal(signal))),
        pids().prop_map(|pids| Event::Surviving { pids }),
        pids().prop_map(|pids| Event::LeftBehind { pids }),
        Just(Event::Dead),
    ]
}

fn written(messages: &[impl Serialize]) -> Vec<u8> {
    let (mut outbox, mut bytes) = (Outbox::default(), Vec::new());
    for message in messages {
        outbox.push(message);
    }
    outbox.flush(|some| {
        bytes.extend(some);
        Ok(some.len())
    });
    bytes
}

/// Writes all messages, cuts the bytes into pieces, and expects the messages back.
fn check<M: Serialize + DeserializeOwned + PartialEq + Debug>(messages: &[M], piece: usize) {
    let mut inbox = Inbox::default();
    let mut read: Vec<M> = Vec::new();
    for bytes in written(messages).chunks(piece) {
        inbox.push(bytes);
        while let Some(message) = inbox.next().unwrap() {
            read.push(message);
        }
    }
    assert_eq!(read, messages);
}

/// Reads arbitrary bytes to their end, or to the first error.
fn swallow<M: DeserializeOwned>(bytes: &[u8]) {
    let mut inbox = Inbox::default();
    inbox.push(bytes);
    while let Ok(Some(_)) = inbox.next::<M>() {}
}

/// Expects a message to be refused by who reads it.
fn refuse<M: Serialize + DeserializeOwned + Debug>(message: &M) {
    let read = read::<M>(&written(std::slice::from_ref(message))[4..]);
    assert!(
        matches!(read, Err(Malformed::Unreadable { .. })),
        "{read:?}"
    );
}

proptest! {
    #[test]
    fn what_the_elector_says_arrives(
        messages in prop::collection::vec(orders(), 0..6), piece in 1..64_usize
    ) {
        check(&messages, piece);
    }

    #[test]
    fn what_the_keeper_says_arrives(
        messages in prop::collection::vec(events(), 0..6), piece in 1..64_usize
    ) {
        check(&messages, piece);
    }

    #[test]
    fn noise_is_refused_and_does_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        swallow::<Order>(&bytes);
        swallow::<Event>(&bytes);
        let _: Result<Order, _> = read(&bytes);
        let _: Result<Event, _> = read(&bytes);
    }

    #[test]
    fn a_damaged_message_does_no_harm(
        message in orders(), at in any::<prop::sample::Index>(), byte in any::<u8>()
    ) {
        let mut wire = written(&[message]);
        let at = at.index(wire.len());
        wire[at] = byte;
        swallow::<Order>(&wire);
    }

    #[test]
    fn a_message_that_is_cut_short_is_refused(message in orders(), cut in any::<prop::sample::Index>()) {
        let wire = written(&[message]);
        let frame = &wire[4..];
        prop_assert!(read::<Order>(&frame[..cut.index(frame.len())]).is_err());
    }

    #[test]
    fn a_message_that_is_followed_by_more_is_refused(message in orders()) {
        let mut wire = written(&[message]);
        wire.push(0);
        prop_assert_eq!(read::<Order>(&wire[4..]), Err(Malformed::Trailing(1)));
    }
}

#[test]
fn a_frame_that_announces_too_much_is_refused_before_it_arrives() {
    let mut inbox = Inbox::default();
    inbox.push(&u32::MAX.to_le_bytes());
    assert_eq!(
        inbox.next::<Event>(),
        Err(Malformed::TooLong(u32::MAX as usize))
    );
}

#[test]
fn a_command_or_an_environment_that_no_process_can_have_is_refused() {
    let start = |command: &[&str], variables: &[(&str, &str)]| Order::Start {
        program: Program {
            command: command.iter().map(OsString::from).collect(),
            environment: variables
                .iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect::<BTreeMap<_, _>>(),
            stdin: false,
            stop_signal: Signal::TERM,
            inherited: Inherited::default(),
        },
        deadline: Timestamp::ZERO,
        grace: Duration::ZERO,
    };
    check(&[start(&["a", ""], &[("b", "c")])], 7);
    refuse(&start(&[], &[]));
    refuse(&start(&["a", "b\0c"], &[]));
    refuse(&start(&["a"], &[("b\0", "c")]));
    refuse(&start(&["a"], &[("b", "\0c")]));
}

#[test]
fn a_field_that_is_none_of_its_values_is_refused() {
    check(&[Order::Context(vec![7; 1 << 20])], 4096);
    refuse(&Order::Context(vec![7; (1 << 20) + 1]));
    for pid in [0, -1, i32::MIN] {
        refuse(&Event::Started(pid));
        refuse(&Event::Surviving { pids: vec![1, pid] });
    }
    refuse(&Event::LeftBehind { pids: vec![1; 9] });
    let frame = |order: &Order| written(std::slice::from_ref(order))[4..].to_vec();
    // The number of the kind is the first byte, and that of the signal, doubled, the second.
    let signal = frame(&Order::Signal(Signal::HUP));
    assert_eq!(signal[1], 2);
    for raw in [0, 1, 200] {
        assert!(read::<Order>(&[signal[0], raw]).is_err(), "{raw}");
    }
    let deadline = frame(&Order::Deadline(Timestamp::NEVER));
    let hold = Order::Hold {
        who: "id|host|1|v".parse().unwrap(),
        term: FencingToken::ZERO,
    };
    let mut hold = frame(&hold);
    assert!(read::<Order>(&hold).is_ok());
    hold.pop();
    // A term is at most 2^53 - 1.
    hold.extend(&deadline[1..]);
    assert!(read::<Order>(&hold).is_err());
}
