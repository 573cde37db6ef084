//! Breaks of the orders of operators, in the record function and in the candidate.

use super::{Mutant, mutants};

pub(super) const MUTANTS: &[Mutant] = mutants! {
    "order: pause", "a claim is granted while the election is paused", "protocol/operation.rs",
        "record.orders.paused.is_none() || joins;" => "record.orders.paused.is_none() || term > Term::ZERO;";
    "order: pause", "a leader may not join a store that is paused", "protocol/operation.rs",
        "record.orders.paused.is_none() || joins;" => "record.orders.paused.is_none();";
    "order: pause", "never ends by the clock", "protocol/record.rs",
        "paused.take_if(|pause| !pause.holds_at(clock));" => "paused.take_if(|pause| !pause.holds_at(clock) && pause.holds_at(clock));";
    "order: pause", "a standby claims all the same, and is refused", "protocol/candidate/orders.rs",
        "view.paused().is_some() || (another && !view.watch.stands_still(self.now, &self.timing))"
        => "another && !view.watch.stands_still(self.now, &self.timing)";
    "order: pause", "the pause of a run takes the place of an operator's", "protocol/order.rs",
        "if by_another && !replaces {" => "if by_another && !replaces && !by_another {";
    "order: resume", "lifts nothing", "protocol/order.rs",
        "Self::Resume => orders.paused = None," => "Self::Resume => {}";
    "order: resign", "is asked of whoever leads, not of the term that was meant", "protocol/order.rs",
        "record.holder().is_some() && record.term == *term" => "record.holder().is_some() && record.term >= *term.min(&record.term)";
    "order: resign", "is asked of no one", "protocol/order.rs",
        "record.holder().is_some() && record.term == *term" => "record.term == *term";
    "order: resign", "outlives the claim of the next leader", "protocol/operation.rs",
        "handover: None," => "handover: record.orders.handover.clone(),";
    "order: resign", "is obeyed when it was meant for an earlier term", "protocol/record.rs",
        "handover.filter(|handover| handover.term == self.term)" => "handover.filter(|handover| handover.term <= self.term)";
    "order: resign", "is obeyed at the word of a single store", "protocol/candidate/orders.rs",
        "if self.stores.iter().filter(asks).count() < self.electorate.majority() {"
        => "if self.stores.iter().filter(asks).count() < 1 {";
    "order: resign", "a leader that is asked to resign comes again at once", "protocol/candidate/orders.rs",
        "not_before: self.now + self.timing.window()," => "not_before: self.now,";
    "order: resign", "no standby leaves the record to the named successor", "protocol/candidate/orders.rs",
        "view.paused().is_some() || (another && !view.watch.stands_still(self.now, &self.timing))"
        => "view.paused().is_some() || (another && self.now < crate::protocol::Timestamp::ZERO)";
    "order: resign", "a successor that never comes is waited for without end", "protocol/candidate/orders.rs",
        "view.paused().is_some() || (another && !view.watch.stands_still(self.now, &self.timing))"
        => "view.paused().is_some() || another";
    "order: depose", "is granted whatever the record has become", "protocol/order.rs",
        "(mark == expected).then(|| Record {" => "(mark == expected || mark.term >= expected.term).then(|| Record {";
    "order: depose", "is granted without a holder", "protocol/order.rs",
        "Shape::Absent { .. } | Shape::Vacant => return None," => "Shape::Absent { .. } => return None,\n        Shape::Vacant => record.beat,";
    "order: depose", "lets the counter of a stranger come again", "protocol/order.rs",
        "beat: record.beat.continued_from(counter)," => "beat: if counter > record.beat { record.beat } else { counter.max(record.beat) },";
    "order: depose", "rests on one store of many", "election/stall_watch.rs",
        "(abandoned.len() >= self.electorate.majority()).then_some(abandoned)" => "(!abandoned.is_empty()).then_some(abandoned)";
    "order: forget", "is granted whatever the record has become", "protocol/order.rs",
        "let free = record.is_free() && record.mark(memory) == *expected;" => "let free = record.is_free() && record.mark(memory).memory == expected.memory;";
    "order: forget", "is granted of a holder", "protocol/order.rs",
        "let free = record.is_free() && record.mark(memory) == *expected;" => "let free = record.mark(memory) == *expected;";
    "order: depose", "takes what is vacant for abandoned", "protocol/watch.rs",
        "self.claimable(now, timing).filter(|_| self.is_held())" => "self.claimable(now, timing)";
};
