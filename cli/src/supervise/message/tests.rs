//! Every message survives the wire however it is cut, and nothing on the wire can do harm.

use std::fmt::Debug;
use std::path::PathBuf;

use proptest::prelude::*;

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

fn pids() -> impl Strategy<Value = Pid> {
    (1..i32::MAX).prop_map(|pid| Pid::from_raw(pid).unwrap())
}

fn causes() -> impl Strategy<Value = Cause> {
    prop_oneof![
        Just(Cause::Asked),
        Just(Cause::Deadline),
        Just(Cause::StopTimeout),
        Just(Cause::Orphaned),
    ]
}

fn to_keeper() -> impl Strategy<Value = ToKeeper> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..100).prop_map(ToKeeper::Context),
        (
            "[a-z0-9.-]{1,50}",
            "[a-z]{1,20}",
            any::<u32>(),
            0..1_u64 << 53
        )
            .prop_map(|(id, host, pid, term)| ToKeeper::Hold {
                who: Identity::new(id.parse().unwrap(), &host, pid, "0.1.0").unwrap(),
                term: Term::new(term).unwrap(),
            }),
        Just(ToKeeper::Released),
        (programs(), timestamps(), any::<u64>()).prop_map(|(program, deadline, grace)| {
            ToKeeper::Start {
                program,
                deadline,
                grace: Duration::from_nanos(grace),
            }
        }),
        timestamps().prop_map(ToKeeper::Deadline),
        prop::sample::select(vec![Signal::HUP, Signal::USR1, Signal::WINCH])
            .prop_map(ToKeeper::Signal),
        timestamps().prop_map(|by| ToKeeper::Stop { by }),
        Just(ToKeeper::Kill),
    ]
}

fn from_keeper() -> impl Strategy<Value = FromKeeper> {
    prop_oneof![
        (
            prop::option::of("/[a-z/]{1,40}"),
            prop::option::of(".{0,80}"),
            any::<[bool; 4]>()
        )
            .prop_map(
                |(path, unfenced, [pid_namespace, hidden, memory_locked, real_time])| {
                    FromKeeper::Ready {
                        containment: Containment {
                            cgroup: path.map(PathBuf::from),
                            pid_namespace,
                            hidden,
                            unfenced,
                        },
                        memory_locked,
                        real_time,
                    }
                }
            ),
        ".{0,80}".prop_map(FromKeeper::Uncontained),
        pids().prop_map(FromKeeper::Started),
        prop_oneof![
            Just(StartFailure::NotFound),
            Just(StartFailure::TooLate),
            (1..200).prop_map(|errno| StartFailure::NotExecutable { errno }),
            (1..200).prop_map(|errno| StartFailure::System { errno }),
        ]
        .prop_map(FromKeeper::NotStarted),
        causes().prop_map(FromKeeper::Stopping),
        causes().prop_map(FromKeeper::Killing),
        any::<u8>().prop_map(|code| FromKeeper::Exited(ProgramExit::Code(code))),
        (1..65_u8).prop_map(|signal| FromKeeper::Exited(ProgramExit::Signal(signal))),
        prop::collection::vec(pids(), 0..=MOST_SURVIVORS).prop_map(FromKeeper::Surviving),
        prop::collection::vec(pids(), 0..=MOST_SURVIVORS).prop_map(FromKeeper::LeftBehind),
        Just(FromKeeper::Dead),
    ]
}

/// Writes all messages, cuts the bytes into pieces, and expects the messages back.
fn check<M: Message + PartialEq + Debug>(messages: &[M], piece: usize) {
    let mut wire = Vec::new();
    for message in messages {
        message.write(&mut wire);
    }
    let mut frames = Frames::default();
    let mut read: Vec<M> = Vec::new();
    for bytes in wire.chunks(piece) {
        frames.push(bytes);
        while let Some(message) = frames.next().unwrap() {
            read.push(message);
        }
    }
    assert_eq!(read, messages);
}

/// Reads arbitrary bytes to their end, or to the first error.
fn swallow<M: Message>(bytes: &[u8]) {
    let mut frames = Frames::default();
    frames.push(bytes);
    while let Ok(Some(_)) = frames.next::<M>() {}
}

proptest! {
    #[test]
    fn what_the_elector_says_arrives(
        messages in prop::collection::vec(to_keeper(), 0..6), piece in 1..64_usize
    ) {
        check(&messages, piece);
    }

    #[test]
    fn what_the_keeper_says_arrives(
        messages in prop::collection::vec(from_keeper(), 0..6), piece in 1..64_usize
    ) {
        check(&messages, piece);
    }

    #[test]
    fn noise_is_refused_and_does_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        swallow::<ToKeeper>(&bytes);
        swallow::<FromKeeper>(&bytes);
        let _: Result<ToKeeper, _> = ToKeeper::read(&bytes);
        let _: Result<FromKeeper, _> = FromKeeper::read(&bytes);
    }

    #[test]
    fn a_damaged_message_does_no_harm(
        message in to_keeper(), at in any::<prop::sample::Index>(), byte in any::<u8>()
    ) {
        let mut wire = Vec::new();
        message.write(&mut wire);
        let at = at.index(wire.len());
        wire[at] = byte;
        swallow::<ToKeeper>(&wire);
    }

    #[test]
    fn a_message_that_is_cut_short_is_refused(message in to_keeper(), cut in any::<prop::sample::Index>()) {
        let mut wire = Vec::new();
        message.write(&mut wire);
        let frame = &wire[4..];
        prop_assert!(ToKeeper::read(&frame[..cut.index(frame.len())]).is_err());
    }
}

#[test]
fn a_frame_that_announces_too_much_is_refused_before_it_arrives() {
    let mut frames = Frames::default();
    frames.push(&u32::MAX.to_le_bytes());
    assert_eq!(
        frames.next::<FromKeeper>(),
        Err(Malformed::TooLong(u32::MAX as usize))
    );
}

#[test]
fn a_command_with_a_nul_byte_is_refused() {
    let program = Program {
        command: vec![OsString::from("a\0b")],
        environment: BTreeMap::new(),
        stdin: false,
        stop_signal: Signal::TERM,
        inherited: Inherited::default(),
    };
    let mut wire = Vec::new();
    ToKeeper::Start {
        program,
        deadline: Timestamp::ZERO,
        grace: Duration::ZERO,
    }
    .write(&mut wire);
    assert_eq!(ToKeeper::read(&wire[4..]), Err(Malformed::Field("command")));
}
