//! Breaks of what the keeper of a program does: that nothing is released before it is proven dead.

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
};
