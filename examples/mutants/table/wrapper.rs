//! Breaks of what the keeper of a program does: that nothing is released before it is proven dead. And of what the threads
//! of a leader share.

use super::{Mutant, mutants};

pub(super) const MUTANTS: &[Mutant] = mutants! {
    "release", "the keeper ends with its elector, before the program is dead", "supervise/plan.rs",
        "            | Phase::Killing { .. } => self.kill(now, Cause::Orphaned, actions),\n            Phase::Over => {}"
        => "            | Phase::Killing { .. } => { self.kill(now, Cause::Orphaned, actions); self.finish(actions); }\n            Phase::Over => {}";
    "release", "a tree that was killed counts as dead", "supervise/plan.rs",
        "                actions.extend([Action::Report(Event::Killing(cause)), Action::Kill]);\n            }"
        => "                actions.extend([Action::Report(Event::Killing(cause)), Action::Kill]);\n                self.prove_dead(actions);\n            }";
    "deadline", "the keeper does not kill when the tenure ends", "supervise/plan.rs",
        "Phase::Running if now >= self.deadline => self.kill(now, Cause::Deadline, actions),"
        => "Phase::Running if now >= self.deadline => {}";
    "deadline", "a program that was asked to stop outlives the deadline", "supervise/plan.rs",
        "                if now >= self.deadline {\n" => "                if now >= self.deadline && now >= *by && now < self.deadline {\n";
    "deadline", "a program starts that has no time left", "supervise/plan.rs",
        "if now >= deadline.before(grace) {" => "if now >= deadline.before(grace) && now < deadline.before(grace) {";
    "deadline", "the fence is not moved on by heartbeats", "supervise/handle.rs",
        "deadline: Timestamp) {\n        self.move_fence(deadline);\n" => "deadline: Timestamp) {\n";
    "deadline", "the fence compares the wrong way round", "supervise/fence/bpf.rs",
        "instruction(0x3d, 2, 1, 1, 0)," => "instruction(0xbd, 2, 1, 1, 0),";
    "survivors", "the init of a program's namespace is not ours", "supervise/contain/namespace.rs",
        "let spaces = libc::CLONE_NEWPID | libc::CLONE_NEWNS;" => "let spaces = libc::CLONE_NEWNS;";
    "survivors", "the init of a program's namespace outlives its keeper", "supervise/contain/init.rs",
        "set_parent_process_death_signal(Some(Signal::KILL))?;" => "set_parent_process_death_signal(None)?;";
    "survivors", "the init of a program's namespace outlives its elector", "supervise/contain/init.rs",
        "if !sources[1].revents().is_empty() {" => "if sources[1].revents().contains(PollFlags::NVAL) {";
    "threads", "a heartbeat gives back what the end of the work took", "election/lease.rs",
        "(now != Shared::ENDED).then_some(until)" => "(now != until).then_some(until)";
    "threads", "a deadline is read with the certain moment of another", "election/lease.rs",
        "        self.shared.surely_until.store(0, Ordering::Release);\n" => "";
    "threads", "the guard sets its timer after another thread may have set it", "election/guard.rs",
        "            state.armed = next;\n" => "            state.armed = next;\n            drop(state);\n";
};
