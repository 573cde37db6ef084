//! Breaks of what the keeper of a program does: that nothing is released before it is proven dead.

use super::{Mutant, mutants};

pub(super) const MUTANTS: &[Mutant] = mutants! {
    "release", "the keeper releases when its elector is gone, before the program is dead", "supervise/plan.rs",
        "            | Phase::Killing { .. } => self.kill(now, Cause::Orphaned, actions),\n            Phase::Over => {}"
        => "            | Phase::Killing { .. } => { self.kill(now, Cause::Orphaned, actions); actions.push(Action::Release); }\n            Phase::Over => {}";
    "release", "the keeper ends with its elector, before the program is dead", "supervise/plan.rs",
        "            | Phase::Killing { .. } => self.kill(now, Cause::Orphaned, actions),\n            Phase::Over => {}"
        => "            | Phase::Killing { .. } => { self.kill(now, Cause::Orphaned, actions); self.finish(actions); }\n            Phase::Over => {}";
};
