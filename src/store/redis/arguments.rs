//! What requests give to the scripts, as text.

use crate::protocol::{
    Attestation, Claim, ClaimKind, Handover, Mark, Memory, Order, Pause, Shape, WallMillis,
};

/// The arguments of `claim.lua`, in its order.
pub(super) fn claim_arguments(who: String, claim: &Claim, nonce: String) -> Vec<String> {
    let [shape, mark @ ..] = mark_arguments(claim.expected);
    let [vouched, age] = attestation_arguments(claim.attested);
    let is_unseen =
        claim.kind == ClaimKind::Sole && matches!(claim.expected.shape, Shape::Absent { .. });
    let mut arguments = Vec::with_capacity(16);
    arguments.extend([
        who,
        claim.holder.to_string(),
        claim.term.to_string(),
        claim.least_beat().to_string(),
        claim.window.as_nanos().to_string(),
        match claim.kind {
            ClaimKind::Shared => "shared",
            ClaimKind::Sole => "sole",
            ClaimKind::Join => "join",
        }
        .to_owned(),
        vouched,
        age,
        flag(claim.ephemeral).to_owned(),
        shape,
    ]);
    if !is_unseen {
        arguments.extend(mark);
    }
    arguments.push(nonce);
    arguments
}

/// A memory and its age, or nothing.
pub(super) fn attestation_arguments(attested: Option<Attestation>) -> [String; 2] {
    attested.map_or_else(Default::default, |word| {
        let age = word.age.min(Memory::MATURE).as_millis();
        [word.memory.to_string(), age.to_string()]
    })
}

/// The arguments of `order.lua`, in its order.
pub(super) fn order_arguments(who: String, channel: String, order: &Order) -> Vec<String> {
    let (word, details) = match order {
        Order::Pause {
            lasts,
            by,
            reason,
            replaces,
        } => {
            let lasts = match lasts {
                // No clock reads more milliseconds than that.
                Some(lasts) => lasts
                    .as_millis()
                    .min(WallMillis::MAX.get().into())
                    .to_string(),
                None => "-".to_owned(),
            };
            let pause = Pause {
                until: None,
                by: by.clone(),
                reason: reason.clone(),
            };
            let text = pause.to_string();
            let by_and_reason = text.strip_prefix("-|").unwrap_or(&text);
            let replaces = flag(*replaces).to_owned();
            ("pause", vec![lasts, by_and_reason.to_owned(), replaces])
        }
        Order::Resume => ("resume", Vec::new()),
        Order::Resign { term, to } => {
            let handover = Handover {
                term: *term,
                to: to.clone(),
            };
            ("resign", vec![term.to_string(), handover.to_string()])
        }
        Order::Depose { expected } => ("depose", mark_arguments(*expected).to_vec()),
        Order::Forget { expected } => ("forget", mark_arguments(*expected).to_vec()),
    };
    let mut arguments = vec![who, channel, word.to_owned()];
    arguments.extend(details);
    arguments
}

/// The expected record: its shape, term and beat, a foreign counter or nothing, the memory, and how often records
/// had changed hands if it is absent.
fn mark_arguments(expected: Mark) -> [String; 6] {
    let Mark {
        memory,
        term,
        beat,
        shape,
    } = expected;
    let (shape, counter) = match shape {
        Shape::Absent { .. } => ("absent", None),
        Shape::Vacant => ("vacant", None),
        Shape::Held => ("held", None),
        Shape::Foreign(counter) => ("foreign", counter),
    };
    let counter = counter.map(|counter| counter.to_string());
    let taken = match expected.shape {
        Shape::Absent { taken } => taken.to_string(),
        Shape::Vacant | Shape::Held | Shape::Foreign(_) => String::new(),
    };
    [
        shape.to_owned(),
        term.to_string(),
        beat.to_string(),
        counter.unwrap_or_default(),
        memory.to_string(),
        taken,
    ]
}

/// A flag as a script reads it.
pub(super) const fn flag(set: bool) -> &'static str {
    if set { "1" } else { "0" }
}
