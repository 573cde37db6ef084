//! What must be possible: how often an exploration has come across it.

use std::sync::atomic::{AtomicU64, Ordering};

use incumbent::protocol::{Event, LossReason, Role};
use stateright::Property;

use super::World;
use super::state::State;

/// Something that an exploration must come across to mean anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    /// A record is taken from a holder whose counter stalled.
    Takeover,
    /// A probation is completed.
    Probation,
    /// A leader is lost because others hold its records.
    Deposition,
    /// A claim fails.
    FailedClaim,
    /// A leader joins a store.
    Join,
    /// A tenure ends without the leader's will.
    Expiry,
    /// A release deletes the record.
    Deletion,
}

pub(crate) const ALL: [Sight; 7] = [
    Sight::Takeover,
    Sight::Probation,
    Sight::Deposition,
    Sight::FailedClaim,
    Sight::Join,
    Sight::Expiry,
    Sight::Deletion,
];

impl Sight {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Takeover => "a takeover",
            Self::Probation => "a probation that completes",
            Self::Deposition => "a loss by deposition",
            Self::FailedClaim => "a failed claim",
            Self::Join => "a join",
            Self::Expiry => "a tenure that ends",
            Self::Deletion => "a deletion",
        }
    }

    /// That it is come across sometimes. States do not remember it, or there would be many more.
    pub(crate) fn property(self) -> Property<World> {
        let condition: fn(&World, &State) -> bool = match self {
            Self::Takeover => |world, _| world.sights.times(Self::Takeover) > 0,
            Self::Probation => |world, _| world.sights.times(Self::Probation) > 0,
            Self::Deposition => |world, _| world.sights.times(Self::Deposition) > 0,
            Self::FailedClaim => |world, _| world.sights.times(Self::FailedClaim) > 0,
            Self::Join => |world, _| world.sights.times(Self::Join) > 0,
            Self::Expiry => |world, _| world.sights.times(Self::Expiry) > 0,
            Self::Deletion => |world, _| world.sights.times(Self::Deletion) > 0,
        };
        Property::sometimes(self.name(), condition)
    }
}

/// How often each was seen, over all paths that were followed.
#[derive(Debug, Default)]
pub(crate) struct Sights([AtomicU64; ALL.len()]);

impl Sights {
    pub(crate) fn saw(&self, sight: Sight) {
        self.0[sight as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn times(&self, sight: Sight) -> u64 {
        self.0[sight as usize].load(Ordering::Relaxed)
    }

    pub(crate) fn note(&self, event: &Event, role: Role) {
        match event {
            Event::Elected { .. } if role == Role::Probation => self.saw(Sight::Probation),
            Event::Stopping {
                reason: LossReason::Deposed,
                ..
            } => self.saw(Sight::Deposition),
            Event::ClaimFailed { .. } => self.saw(Sight::FailedClaim),
            Event::Joined { .. } => self.saw(Sight::Join),
            Event::Expired { .. } => self.saw(Sight::Expiry),
            _ => {}
        }
    }
}
