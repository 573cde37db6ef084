//! The world that the model checker explores: the shipped candidates and the shipped record function, in
//! discrete time, with everything that may happen at each moment.

pub(crate) mod bounds;
mod calm;
mod choice;
pub(crate) mod sight;
mod state;
mod step;
mod transcript;

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bounds::{Bounds, Budget, Start};
use choice::Action;
use incumbent::protocol::{self, Input, Role, Timing, TimingConfig};
use sight::{Sight, Sights};
use state::{Node, State, Store};
use stateright::{Checker, Expectation, HasDiscoveries, Model, Property};

/// A window is three intervals, and a request that takes longer than one has failed.
fn timing() -> Timing {
    Timing::new(&TimingConfig {
        interval: state::INTERVAL,
        stall_polls: 3,
        stop_grace: Duration::from_millis(100),
        op_timeout: Some(state::INTERVAL),
        probation: None,
    })
    .expect("a valid timing")
}

/// An exploration that has been begun.
pub(crate) struct World {
    bounds: Bounds,
    /// Where it begins.
    first: Vec<State>,
    /// The last step of time.
    horizon: u8,
    sights: Sights,
    /// How many states at the end were followed on.
    calmed: AtomicU64,
    /// After how many intervals the last of them had a leader.
    longest_wait: AtomicU64,
}

/// What an exploration has found.
pub(crate) struct Found {
    pub(crate) states: usize,
    pub(crate) unique: usize,
    pub(crate) depth: usize,
    pub(crate) sights: Vec<(Sight, u64)>,
    pub(crate) calmed: u64,
    pub(crate) longest_wait: u64,
    /// What does not hold, with the steps that lead there, and what was not come across.
    pub(crate) broken: Vec<String>,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "  {} states, {} of them unique, to a depth of {} steps",
            self.states, self.unique, self.depth
        )?;
        let sights = self.sights.iter().filter(|(_, times)| *times > 0);
        let sights: Vec<String> = sights
            .map(|(sight, times)| format!("{times} × {}", sight.name()))
            .collect();
        writeln!(f, "  {}", sights.join(", "))?;
        write!(
            f,
            "  {} ends followed without faults: someone led after at most {} intervals",
            self.calmed, self.longest_wait
        )
    }
}

/// Explores everything within the bounds.
pub(crate) fn explore(bounds: &Bounds, threads: usize) -> Found {
    let checker = World::new(bounds)
        .checker()
        .threads(threads)
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    let world = checker.model();
    let mut broken = Vec::new();
    for property in world.properties() {
        match (property.expectation, checker.discovery(property.name)) {
            (Expectation::Always, Some(path)) => {
                broken.push(transcript::of(property.name, path.into_vec()));
            }
            (Expectation::Sometimes, None) => {
                broken.push(format!("it never came across {}", property.name));
            }
            (Expectation::Always, None) | (Expectation::Sometimes, Some(_)) => {}
            (Expectation::Eventually, _) => unreachable!("it misses cycles, and is not asked"),
        }
    }
    Found {
        states: checker.state_count(),
        unique: checker.unique_state_count(),
        depth: checker.max_depth(),
        sights: sight::ALL
            .iter()
            .map(|sight| (*sight, world.sights.times(*sight)))
            .collect(),
        calmed: world.calmed.load(Ordering::Relaxed),
        longest_wait: world.longest_wait.load(Ordering::Relaxed),
        broken,
    }
}

impl World {
    fn new(bounds: &Bounds) -> Self {
        let mut world = Self {
            bounds: bounds.clone(),
            first: Vec::new(),
            horizon: 0,
            sights: Sights::default(),
            calmed: AtomicU64::new(0),
            longest_wait: AtomicU64::new(0),
        };
        let first = match bounds.start {
            Start::Empty => world.begin(),
            Start::Led => world.led(),
        };
        world.horizon = first.time + bounds.intervals;
        world.first.push(first);
        // What the way there has shown does not count.
        world.sights = Sights::default();
        world
    }

    fn begin(&self) -> State {
        let stores = usize::from(self.bounds.stores);
        let mut state = State {
            time: 0,
            nodes: (0..usize::from(self.bounds.candidates))
                .map(|place| Node::new(self.node(place, 0)))
                .collect(),
            stores: vec![
                Store {
                    state: protocol::State::EMPTY,
                    ids: 0,
                    cut: false,
                    ahead_ms: 0,
                    past: Vec::new(),
                };
                stores
            ],
            letters: Vec::new(),
            turn: None,
            left: Budget::new(self.bounds.faults, self.bounds.kinds),
            struck: 0,
            highest: 0,
            broken: None,
        };
        for place in 0..state.nodes.len() {
            self.input(&mut state, place, Input::Tick);
        }
        state
    }

    /// Lets the first candidate win, on every store, with memories that are old enough for all.
    fn led(&self) -> State {
        let mut state = self.begin();
        let proven = |state: &State| {
            let old = |store: &Store| {
                let memory = store.state.memory;
                memory.is_some_and(|memory| memory.age >= timing().probation())
            };
            let held = |store: &Store| store.state.record.holder().is_some();
            let all = state.stores.iter().all(|store| held(store) && old(store));
            all && state.nodes[0].inner.candidate.role() == Role::Leading
        };
        for _ in 0..16 {
            while !state.letters.is_empty() {
                let letter = state.letters.remove(0);
                self.deliver(&mut state, letter);
            }
            if proven(&state) {
                break;
            }
            self.advance(&mut state, 0, 0);
        }
        assert!(proven(&state), "no one leads: {state:?}");
        state
    }

    /// The end of a path, or of one in this many of them, is followed until someone leads.
    fn ends_well(&self, state: &State) -> bool {
        if state.time < self.horizon || !state.letters.iter().all(|letter| letter.held) {
            return true;
        }
        let mut hasher = DefaultHasher::new();
        state.hash(&mut hasher);
        if !hasher.finish().is_multiple_of(self.bounds.calmed) {
            return true;
        }
        self.calmed.fetch_add(1, Ordering::Relaxed);
        self.settles(state)
    }
}

impl Model for World {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        self.first.clone()
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.choices(state, actions);
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut state = state.clone();
        self.perform(&mut state, action);
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let always = [
            Property::always("S1 and S5: at most one acts", |_, state: &State| {
                state.acting() <= 1
            }),
            Property::always("S2, S3 and S4", |_, state: &State| state.broken.is_none()),
            Property::always("somebody leads in the end", Self::ends_well),
        ];
        let shows = self.bounds.shows.iter().map(|sight| sight.property());
        always.into_iter().chain(shows).collect()
    }
}
