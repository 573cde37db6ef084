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
        "Self::new(floor.0.checked_add(1)?.max(clock.get()))" => "Self::new(floor.0.checked_add(1)? + clock.get() * 0)";
    "R3", "numbers terms without the floors", "protocol/candidate/standby.rs",
        "let floor = Some(seen(&highest)).max(self.last_claimed)?;" => "let floor = self.last_claimed.unwrap_or(Term::ZERO);";
    "R3", "numbers terms by clocks as they were read", "protocol/candidate/view.rs",
        "let passed = now.since(self.clock_read).as_millis();" => "let passed = now.since(now.max(self.clock_read)).as_millis();";
    "R3", "claims twice with one term", "protocol/candidate/claiming.rs",
        "self.last_claimed = self.last_claimed.max(Some(term));" => "self.last_claimed = self.last_claimed.min(Some(term));";
    "hints", "a hint counts as a look", "protocol/candidate/standby.rs",
        "view.hint = match look {" => "view.watch.observe(record, now, now);\n        view.hint = match look {";
    "wiped", "claims what a live leader has just lost", "protocol/candidate/standby.rs",
        "!view.watch.awaits_its_leader(now, &self.timing)" => "view.watch.record().is_some()";
    "R4", "counts grants that arrive late", "protocol/timing.rs",
        "pub const fn op_timeout(&self) -> Duration {\n        self.op_timeout\n" => "pub const fn op_timeout(&self) -> Duration {\n        self.op_timeout.saturating_mul(40)\n";
    "R5", "counts probation from the sending of the claims", "protocol/candidate/claiming.rs",
        "let until = now + self.timing.probation();"
        => "let until = self.majority_acknowledged().unwrap_or(now) + self.timing.probation();";
    "R5", "skips probation", "protocol/candidate/claiming.rs",
        "let is_proven = |hold: &Hold| !hold.unproven;" => "let is_proven = |hold: &Hold| !hold.unproven || hold.unproven;";
    "R5", "waits one interval for probation", "protocol/candidate/claiming.rs",
        "let until = now + self.timing.probation();" => "let until = now + self.timing.interval();";
    "R6", "goes on with probation after a refusal", "protocol/candidate/claiming.rs",
        "Heard::Parted => self.fail(now, term, step)," => "Heard::Parted => {}";
    "R7", "ends probation with heartbeats sent before its end", "protocol/candidate/claiming.rs",
        "view.acknowledged.is_some_and(|sent| sent >= until)" => "view.acknowledged.is_some() && now >= until";
    "R7", "ends probation with a single heartbeat", "protocol/candidate/claiming.rs",
        "if self.stores.iter().filter(outwaited).count() >= self.electorate.majority() {"
        => "if self.stores.iter().filter(outwaited).count() >= 1 {";
    "R8", "a join proves a store that has forgotten", "protocol/operation.rs",
        "unproven: record.unproven || forgotten," => "unproven: record.unproven || (forgotten && !claim.join),";
    "R8", "a second claim proves a store that has forgotten", "protocol/operation.rs",
        "unproven: record.unproven || forgotten," => "unproven: forgotten,";
    "R8", "a forgotten record counts as one that has never been", "protocol/operation.rs",
        "unproven: record.unproven || forgotten," => "unproven: record.unproven,";
    "R8", "a leader proves a store without outwaiting it", "protocol/candidate/leading.rs",
        "let proven = hold.unproven && now >= hold.granted + self.timing.probation();"
        => "let proven = hold.unproven;";
    "R8", "a heartbeat proves a store", "protocol/operation.rs",
        "unproven: record.unproven && !proven," => "unproven: record.unproven && !proven && record.unproven == *proven,";
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
        "if ending.is_none() && now + self.timing.stop_grace() >= deadline {" => "if ending.is_none() && now >= deadline {";
    "send", "a lease runs from the receipt of a heartbeat's reply", "protocol/candidate/replies.rs",
        "hold.unproven &= !proven;\n                    view.acknowledged = view.acknowledged.max(Some(pending.sent));"
        => "hold.unproven &= !proven;\n                    view.acknowledged = view.acknowledged.max(Some(now));";
    "send", "a lease runs from the receipt of a grant", "protocol/candidate/replies.rs",
        "view.acknowledged = view.acknowledged.max(Some(pending.sent));\n                Heard::Granted"
        => "view.acknowledged = view.acknowledged.max(Some(now.max(pending.sent)));\n                Heard::Granted";
    "receive", "a stall runs from the sending of a poll", "protocol/watch.rs",
        "since: received," => "since: sent.min(received),";
    "receive", "evidence is as fresh as its receipt", "protocol/watch.rs",
        "seen.until = sent;" => "seen.until = received;";
    "majority", "a lease runs from the newest heartbeat of any store", "protocol/candidate/requests.rs",
        "sent.get(self.electorate.majority() - 1).copied()" => "sent.first().copied()";
    "majority", "fewer than a majority elect", "protocol/quorum.rs",
        "self.size() / 2 + 1" => "self.size().div_ceil(3)";
    "claim", "is granted whatever the record has become", "protocol/operation.rs",
        "let as_expected = record.mark() == claim.expected;" => "let as_expected = record.mark() == claim.expected || record.term > Term::ZERO;";
    "claim", "is granted though the counter has moved on", "protocol/operation.rs",
        "let as_expected = record.mark() == claim.expected;"
        => "let as_expected = record.mark().shape == claim.expected.shape && record.term == claim.expected.term;";
    "claim", "is granted with a term that does not rise", "protocol/operation.rs",
        "let rises = claim.term > record.floor || claim.join;" => "let rises = claim.term > Term::ZERO || claim.join;";
    "claim", "lowers the floor", "protocol/operation.rs",
        "floor: record.floor.max(claim.term)," => "floor: claim.term,";
    "claim", "begins its counter at one", "protocol/term.rs",
        "Self(start.max(last.0.saturating_add(1)))" => "Self((start + last.0) * 0 + 1)";
    "claim", "begins its counter anew when it joins again", "protocol/candidate/standby.rs",
        "after: self.stores[store.get()].written," => "after: crate::protocol::Beat::new(0),";
    "S3", "anybody's heartbeat is granted", "protocol/operation.rs",
        "} => record.is_held_by(holder, *term).then(|| Record {\n            beat" => "} => (record.is_held_by(holder, *term) || record.holder().is_some()).then(|| Record {\n            beat";
    "S3", "anybody's release is granted", "protocol/operation.rs",
        "Request::Release { holder, term, .. } => record.is_held_by(holder, *term).then(|| Record {"
        => "Request::Release { holder, term, .. } => (record.is_held_by(holder, *term) || record.holder().is_some()).then(|| Record {";
    "S3", "a holder's release of an older term is granted", "protocol/record.rs",
        "self.term == term && self.holder() == Some(candidate)" => "self.term >= term && self.holder() == Some(candidate)";
    "release", "comes before the work has ended", "protocol/candidate/leading.rs",
        "Heard::Resign(reason) => self.stop(now, Ending::asked_for(reason), reason, step)," => "Heard::Resign(reason) => { self.stop(now, Ending::asked_for(reason), reason, step); self.give_up(now, Some(term), reason, step) }";
    "release", "comes when the tenure has ended, not the work", "protocol/candidate/leading.rs",
        "step.events.push(Event::Expired { term });" => "step.events.push(Event::Expired { term }); self.give_up(now, Some(term), LossReason::TenureEnded, step);";
    "lost is final", "a lease is renewed after its end", "protocol/candidate/leading.rs",
        "if let Some(sent) = renewed\n            && !*expired\n            && !final_loss\n            && now < *deadline\n        {"
        => "if let Some(sent) = renewed {\n            let _ = (*expired, final_loss, now);\n";
    "lost is final", "a leader goes on after a store forgot it", "protocol/candidate/leading.rs",
        "&& !final_loss" => "&& (!final_loss || final_loss)";
    "R4", "time passes after the input, not before", "protocol/candidate/mod.rs",
        "        self.pass_time(now, &mut step);\n        match input {" => "        match input {";
    "S4", "an outage counts as a poll that found no change", "protocol/candidate/replies.rs",
        "        view.failing = true;\n"
        => "        view.failing = true;\n        if let Some(record) = view.watch.record().cloned() {\n            view.watch.observe(&record, pending.sent, now);\n        }\n";
    "S4", "a store that does not answer counts as vacant", "protocol/candidate/standby.rs",
        "let seen = view.watch.claimable(now, &self.timing);"
        => "let seen = if view.failing { Some(view.watch.record()?.mark()) } else { view.watch.claimable(now, &self.timing) };";
    "liveness", "a store that is full is claimed without a pause", "protocol/candidate/claiming.rs",
        "let not_before = if claimed.is_empty() && !failing {" => "let not_before = if claimed.is_empty() && (!failing || failing) {";
    "liveness", "a free store is polled without a pause after the tenure", "protocol/candidate/leading.rs",
        "if self.joinable(now, store).is_some() {" => "if self.joinable(now, store).is_some() || self.stores[store.get()].watch.claimable(now, &self.timing).is_some() {";
    "liveness", "a split vote waits no random time", "protocol/candidate/claiming.rs",
        "now + self.random(interval / 16, longest)" => "now + (longest * 0 + interval / 16)";
    "liveness", "a claim of unknown outcome is not given up", "protocol/candidate/standby.rs",
        "                self.release(now, store, reply.record.term, LossReason::Withdrawn, step);" => "";
};
