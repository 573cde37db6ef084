//! Breaks of the candidate's rules, of the timing, and of the record function.

use super::{Mutant, mutants};

pub(super) const MUTANTS: &[Mutant] = mutants! {
    "R1", "takes over without counting polls", "protocol/watch.rs",
        "self.polls >= timing.stall_polls() && now.since(self.since) >= self.stall(timing)"
        => "now.since(self.since) >= self.stall(timing)";
    "R1", "takes over without waiting for the window", "protocol/watch.rs",
        "self.polls >= timing.stall_polls() && now.since(self.since) >= self.stall(timing)"
        => "self.polls >= timing.stall_polls()";
    "R1", "waits for its own window only", "protocol/watch.rs",
        "self.record.window().max(timing.window())" => "timing.window()";
    "R1", "waits for the window of the holder only", "protocol/watch.rs",
        "self.record.window().max(timing.window())" => "self.record.window()";
    "R2", "claims on evidence of any age", "protocol/watch.rs",
        "now.since(seen.until) <= freshness(timing)" => "now >= seen.until && timing.interval() > Duration::ZERO";
    "R3", "numbers terms without the clocks", "protocol/term.rs",
        "Self::new(floor.get().checked_add(1)?.max(Self::at(clock)))" => "Self::new(floor.get().checked_add(1)? + clock.get() * 0)";
    "R3", "numbers terms without the floors", "protocol/candidate/standby.rs",
        "let floor = Some(seen(&highest)).max(self.last_claimed)?;" => "let floor = self.last_claimed.unwrap_or(Term::ZERO);";
    "R3", "numbers terms by clocks as they were read", "protocol/candidate/view.rs",
        "self.clock.after(now.since(self.clock_read))" => "self.clock.after(now.since(now.max(self.clock_read)))";
    "R3", "claims twice with one term", "protocol/candidate/claiming.rs",
        "self.last_claimed = self.last_claimed.max(Some(term));" => "self.last_claimed = self.last_claimed.min(Some(term));";
    "hints", "a hint counts as a look", "protocol/candidate/standby.rs",
        "view.hint = called.then(|| Hint {" => "view.watch.observe(record, memory, self.now, self.now);\n        view.hint = called.then(|| Hint {";
    "hints", "claims what was released under a memory that it never saw", "protocol/candidate/standby.rs",
        "known.memory.id == hint.mark.memory;" => "known.memory.id == hint.mark.memory || known.seen == known.seen;";
    "wiped", "claims what a live leader has just lost", "protocol/candidate/standby.rs",
        "!view.watch.awaits_its_leader(self.now, &self.timing)" => "view.watch.record().is_some()";
    "wiped", "claims at once an older record that shows no leader", "protocol/watch.rs",
        "mark.shape.is_free() && mark.memory != seen.mark.memory" => "matches!(mark.shape, super::Shape::Absent { .. })";
    "wiped", "leaves a record that was released to who released it", "protocol/watch.rs",
        "mark.shape.is_free() && mark.memory != seen.mark.memory" => "mark.shape.is_free()";
    "R4", "counts grants that arrive late", "protocol/timing.rs",
        "pub const fn op_timeout(&self) -> Duration {\n        self.op_timeout\n" => "pub const fn op_timeout(&self) -> Duration {\n        self.op_timeout.saturating_mul(40)\n";
    "R5", "waits for no memory to become old", "protocol/candidate/view.rs",
        "Some(known.as_old_as(probation))" => "Some(known.as_old_as(probation * 0))";
    "R5", "waits an interval for the memories to become old", "protocol/candidate/requests.rs",
        "let probation = self.timing.probation();\n        let proofs" => "let probation = self.timing.interval();\n        let proofs";
    "R5", "asks of each store for itself whether it was old enough", "protocol/candidate/requests.rs",
        "proven <= moment && moment <= sent" => "proven <= sent && moment >= proven.min(moment)";
    "R5", "is elected by what was sent before the memories were old enough", "protocol/candidate/requests.rs",
        "proven <= moment && moment <= sent" => "proven <= moment && sent >= sent.min(moment)";
    "R5", "is elected by a single store", "protocol/candidate/requests.rs",
        "            self.majority_of(sent)\n        });\n        moments" => "            sent.min()\n        });\n        moments";
    "R5", "counts the age of a memory from the sending of a poll", "protocol/memory.rs",
        "let shown = (received, memory.age.min(longest));" => "let shown = (sent, memory.age.min(longest));";
    "R5", "takes the age of one memory for that of the next", "protocol/memory.rs",
        "same.map_or(shown, |known| older(known.aged, shown))" => "before.map_or(shown, |known| older(known.aged, shown))";
    "R5", "believes a memory that replaces another to be as old as it says", "protocol/memory.rs",
        "let longest = other_until.map_or(Memory::MATURE, |other| received.since(other));\n        let shown"
        => "let longest = other_until.map_or(Memory::MATURE, |_| Memory::MATURE);\n        let shown";
    "R5", "a memory takes what is said of another", "protocol/operation.rs",
        "word.filter(|word| word.memory == self.id)" => "word.filter(|word| word.memory == self.id || word.memory != self.id)";
    "R6", "goes on with probation after a refusal", "protocol/candidate/claiming.rs",
        "Heard::Parted => self.fail(term)," => "Heard::Parted => {}";
    "R6", "goes on with probation under another memory", "protocol/candidate/replies.rs",
        "if !acts && view.hold.is_some_and(|hold| hold != memory) =>" => "if !acts && acts =>";
    "R7", "misses no record", "protocol/memory.rs",
        "(Some(memory), Some(floor)) if self.record.is_missing() => {" => "(Some(memory), Some(floor)) if self.record.is_missing() && floor == Term::ZERO => {";
    "R7", "forgets the floor of a record that it misses", "protocol/memory.rs",
        "let floor = again.floor.max(if forged { Term::ZERO } else { floor });"
        => "let floor = again.floor.max(if forged { floor.min(Term::ZERO) } else { Term::ZERO });";
    "R7", "a claim is not listed", "protocol/operation.rs",
        "            listed: Some(record.floor),\n            record,\n" => "            listed,\n            record,\n";
    "R7", "a heartbeat is not listed", "protocol/operation.rs",
        "            listed: Some(record.floor),\n            record: Record {\n                beat" => "            listed,\n            record: Record {\n                beat";
    "R8", "claims under whatever memory", "protocol/record.rs",
        "            memory: memory.id,\n" => "            memory: MemoryId { made: super::WallMillis::ZERO, nonce: memory.taken * 0 },\n";
    "R8", "claims below the floor of the memory", "protocol/operation.rs",
        "let floor = record.floor.max(memory.floor);" => "let floor = record.floor;";
    "R8", "counts no change of hands", "protocol/operation.rs",
        "taken: self.taken + u64::from(!record.is_free())," => "taken: self.taken + u64::from(!record.is_free()) * 0,";
    "R8", "a foreign counter without a record is the same one whenever it returns", "protocol/record.rs",
        "match foreign && self.is_missing() {" => "match foreign && self.is_missing() && memory.taken == u64::MAX {";
    "R3", "an only store grants the term as it is proposed", "protocol/operation.rs",
        "claim.term.max(Term::next(floor, clock)?)," => "claim.term.min(Term::next(floor, clock)?.max(claim.term)),";
    "R3", "leads with the term that it proposed to an only store", "protocol/candidate/claiming.rs",
        "term.max(granted)" => "term.min(granted)";
    "R3", "releases a claim of unknown outcome under the term that it proposed alone", "protocol/candidate/standby.rs",
        "Heard::Observed(store, reply) | Heard::Released(store, reply)\n" => "Heard::Observed(store, reply)\n";
    "R3", "leaves while an only store may have numbered its claim", "protocol/candidate/leading.rs",
        "if reply.record.holder() == Some(&self.id) {\n                release.term" => "if reply.record.holder() == Some(&self.id) && release.confirmed == usize::MAX {\n                release.term";
    "R8", "claims one of several stores unseen, if it is absent", "protocol/operation.rs",
        "let blind = claim.kind == ClaimKind::Sole &&" => "let blind = claim.kind != ClaimKind::Join &&";
    "R9", "a deletion leaves no floor to the memory", "protocol/operation.rs",
        "kept.then_some(Self { floor, ..self })" => "kept.then_some(Self { floor: self.floor.min(floor), ..self })";
    "R9", "a deletion leaves the floor to the memory, and not the counter", "protocol/operation.rs",
        "let floor = self.floor.max(record.floor).max(counter);" => "let floor = self.floor.max(record.floor).max(counter.min(record.floor));";
    "R9", "a deletion takes a pause or a handover with it", "protocol/operation.rs",
        "let kept = record.orders == Orders::NONE && " => "let kept = ";
    "R9", "a deletion leaves a term far ahead of the clock to the memory", "protocol/operation.rs",
        "&& !is_far_ahead(floor, clock);" => "&& (!is_far_ahead(floor, clock) || floor > Term::ZERO);";
    "R9", "a deleted record stays listed", "protocol/operation.rs",
        "listed: self.listed.filter(|_| !record.is_missing())," => "listed: self.listed.filter(|_| !record.is_missing() || record.is_missing()),";
    "R9", "a join begins its counter below that of a deleted record", "protocol/operation.rs",
        "beat: claim.least_beat().max(unused)," => "beat: claim.least_beat().max(unused.min(claim.least_beat())),";
    "R9", "a leader joins where its record was deleted", "protocol/candidate/leading.rs",
        "Occupancy::Absent => !view.has_forgotten_us()," => "Occupancy::Absent => view.has_forgotten_us() && !view.has_forgotten_us(),";
    "R9", "a leader whose records were deleted is not over", "protocol/candidate/leading.rs",
        "!record.is_free() || self.was_released(store, term)\n" => "!record.is_free() || (record.occupancy != Occupancy::Absent && self.was_released(store, term))\n";
    "R9", "a standby waits for the leader whose record was deleted", "protocol/watch.rs",
        "mark.shape.is_free() && mark.memory != seen.mark.memory"
        => "mark.shape.is_free() && (mark.memory != seen.mark.memory || matches!(mark.shape, super::Shape::Absent { .. }))";
    "hints", "a word of a deletion counts under whatever memory", "protocol/candidate/standby.rs",
        "absent && seen.memory != mark.memory;" => "absent && seen.memory != mark.memory && seen.term > seen.term;";
    "hints", "a word of a deletion is overheard", "protocol/candidate/standby.rs",
        "true => (memory.floor, Beat::of(memory.floor))," => "true => (record.floor, record.beat),";
    "timing", "the lease has no margin", "protocol/timing.rs",
        "self.window().saturating_sub(self.margin)" => "self.window()";
    "timing", "the lease outlasts the window", "protocol/timing.rs",
        "self.window().saturating_sub(self.margin)" => "self.window().saturating_add(self.margin)";
    "timing", "the sum may exceed the window", "protocol/timing.rs",
        "needed.is_none_or(|needed| needed >= window)" => "needed.is_none()";
    "timing", "the sum leaves out the margin", "protocol/timing.rs",
        "let needed = [op_timeout, stop_grace, margin]" => "let needed = [op_timeout, stop_grace]";
    "timing", "the sum leaves out the time to stop", "protocol/timing.rs",
        "let needed = [op_timeout, stop_grace, margin]" => "let needed = [op_timeout, margin]";
    "timing", "the sum leaves out the time of a request", "protocol/timing.rs",
        "let needed = [op_timeout, stop_grace, margin]" => "let needed = [stop_grace, margin]";
    "timing", "a request may take longer than an interval", "protocol/timing.rs",
        "if op_timeout > interval {" => "if op_timeout > interval * 1000 {";
    "timing", "the work is asked to stop at its deadline", "protocol/candidate/leading.rs",
        "if tenure.ending.is_none() && self.now + self.timing.stop_grace() >= deadline {" => "if tenure.ending.is_none() && self.now >= deadline {";
    "send", "a lease runs from the receipt of a heartbeat's reply", "protocol/candidate/replies.rs",
        "                if view.hold.is_some() {\n                    view.acknowledged = Some(acknowledged);"
        => "                if view.hold.is_some() {\n                    view.acknowledged = Some(Acknowledged { sent: self.now, ..acknowledged });";
    "send", "a lease runs from the receipt of a grant", "protocol/candidate/replies.rs",
        "view.acknowledged = Some(acknowledged);\n                Heard::Granted"
        => "view.acknowledged = Some(Acknowledged { sent: self.now, ..acknowledged });\n                Heard::Granted";
    "receive", "a stall runs from the sending of a poll", "protocol/watch.rs",
        "since: received," => "since: sent.min(received),";
    "receive", "evidence is as fresh as its receipt", "protocol/watch.rs",
        "seen.until = sent;" => "seen.until = received;";
    "majority", "a lease runs from the newest heartbeat of any store", "protocol/candidate/requests.rs",
        "self.majority_of(sent.map(Reverse))\n            .map(|Reverse(sent)| sent)" => "sent.map(Reverse).map(|Reverse(sent)| sent).max()";
    "majority", "fewer than a majority elect", "protocol/quorum.rs",
        "self.size() / 2 + 1" => "self.size().div_ceil(3)";
    "claim", "is granted whatever the record has become", "protocol/operation.rs",
        "let seen = mark == claim.expected || blind;" => "let seen = mark == claim.expected || blind || record.term > Term::ZERO;";
    "claim", "is granted though the counter has moved on", "protocol/operation.rs",
        "let seen = mark == claim.expected || blind;"
        => "let seen = mark.shape == claim.expected.shape && record.term == claim.expected.term || blind;";
    "claim", "is granted with a term that does not rise", "protocol/operation.rs",
        "let rises = term > floor || joins;" => "let rises = term > Term::ZERO || joins;";
    "claim", "lowers the floor", "protocol/operation.rs",
        "floor: record.floor.max(term)," => "floor: term,";
    "claim", "begins its counter at one", "protocol/term.rs",
        "start.max(Self(last.0.saturating_add(1)))" => "Self((start.0 + last.0) * 0 + 1)";
    "claim", "begins its counter anew when it joins again", "protocol/candidate/standby.rs",
        "after: view.written," => "after: crate::protocol::Beat::new(0),";
    "S3", "anybody's heartbeat is granted", "protocol/operation.rs",
        "} => record.is_held_by(holder, *term).then(|| State {\n            memory" => "} => (record.is_held_by(holder, *term) || record.holder().is_some()).then(|| State {\n            memory";
    "S3", "anybody's release is granted", "protocol/operation.rs",
        "} => record.is_held_by(holder, *term).then(|| {\n            let vacant"
        => "} => (record.is_held_by(holder, *term) || record.holder().is_some()).then(|| {\n            let vacant";
    "S3", "a holder's release of an older term is granted", "protocol/record.rs",
        "self.term == term && self.holder() == Some(candidate)" => "self.term >= term && self.holder() == Some(candidate)";
    "release", "comes before the work has ended", "protocol/candidate/leading.rs",
        "Heard::Resign(reason) => self.stop(Ending::asked_for(reason), reason)," => "Heard::Resign(reason) => { self.stop(Ending::asked_for(reason), reason); self.give_up(Some(term), reason) }";
    "release", "comes when the tenure has ended, not the work", "protocol/candidate/leading.rs",
        "self.step.events.push(Event::Expired { term });" => "self.step.events.push(Event::Expired { term }); self.give_up(Some(term), LossReason::TenureEnded);";
    "lost is final", "a lease is renewed after its end", "protocol/candidate/leading.rs",
        "if let Some(sent) = renewed\n            && !tenure.expired\n            && !final_loss\n            && self.now < tenure.deadline\n        {"
        => "if let Some(sent) = renewed {\n            let _ = (final_loss, self.now);\n";
    "lost is final", "a leader goes on after a store forgot it", "protocol/candidate/leading.rs",
        "&& !final_loss" => "&& (!final_loss || final_loss)";
    "R4", "time passes after the input, not before", "protocol/candidate/mod.rs",
        "        self.pass_time();\n        match input {" => "        match input {";
    "S4", "an outage counts as a poll that found no change", "protocol/candidate/replies.rs",
        "        view.failing = true;\n"
        => "        view.failing = true;\n        if let (Some(record), Some(known)) = (view.watch.record().cloned(), view.known) {\n            view.watch.observe(&record, &known.memory, pending.sent, self.now);\n        }\n";
    "S4", "a store that does not answer counts as vacant", "protocol/candidate/standby.rs",
        "let seen = view.watch.claimable(self.now, &self.timing);"
        => "let seen = if view.failing { view.watch.mark() } else { view.watch.claimable(self.now, &self.timing) };";
    "liveness", "a store that is full is claimed without a pause", "protocol/candidate/claiming.rs",
        "let not_before = if claimed.is_empty() && !failing {" => "let not_before = if claimed.is_empty() && (!failing || failing) {";
    "liveness", "a free store is polled without a pause after the tenure", "protocol/candidate/leading.rs",
        "if self.joinable(store, tenure).is_some() {" => "if self.joinable(store, tenure).is_some() || self.stores[store.get()].watch.claimable(self.now, &self.timing).is_some() {";
    "liveness", "a split vote waits no random time", "protocol/candidate/claiming.rs",
        "now + self.random(interval / 16, longest)" => "now + (longest * 0 + interval / 16)";
    "liveness", "a claim of unknown outcome is not given up", "protocol/candidate/standby.rs",
        "                self.release(store, reply.record.term, LossReason::Withdrawn);" => "";
};
