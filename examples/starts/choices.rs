//! The states.

use std::io::{Result, Write};
use std::time::Duration;

use incumbent::protocol::{
    Knowledge, LossReason, Mark, Record, Role, Timestamp, WallMillis, Watch,
};

use crate::planted::{Planted, PlantedView};
use crate::printer::*;

/// Whether something is claimed there, under which memory it is held, and when what was acknowledged, and under which.
type Hold = (bool, Option<u64>, Option<(u64, u64)>);

/// What may be known of a store, one choice for each part.
pub(crate) struct Choices {
    watches: Vec<Watch>,
    known: Vec<Option<Knowledge>>,
    hints: Vec<Option<(Record, Mark, Timestamp)>>,
    pending: Vec<Option<(usize, Timestamp)>>,
    holds: Vec<Hold>,
}

impl Choices {
    pub(crate) fn views(&self) -> Vec<PlantedView> {
        let mut views = Vec::new();
        for watch in &self.watches {
            for known in &self.known {
                for hint in &self.hints {
                    for pending in &self.pending {
                        for (claimed, hold, acknowledged) in &self.holds {
                            let id = |number: u64| memory(number, 0, 0).id;
                            views.push(PlantedView {
                                watch: watch.clone(),
                                known: *known,
                                hint: hint.clone(),
                                pending: *pending,
                                claimed: *claimed,
                                hold: hold.map(id),
                                acknowledged: acknowledged.map(|(sent, mem)| (at(sent), id(mem))),
                            });
                        }
                    }
                }
            }
        }
        views
    }
}

pub(crate) fn known(mem: u64, born: u64) -> Option<Knowledge> {
    let seen = born.max(NOW - INTERVAL);
    let memory = memory(mem, seen - born, 0);
    let seen = at(seen);
    let clock = WallMillis::new(CLOCK).expect("a small number");
    Some(Knowledge::learnt(None, (memory, clock), seen, seen))
}

/// Nothing, or one of the kinds that is answered in time, at the last moment, or no more.
pub(crate) fn pending(kinds: &[usize]) -> Vec<Option<(usize, Timestamp)>> {
    let sent = [100, TIMEOUT, TIMEOUT + 1].map(|ago| at(NOW - ago));
    let each = kinds
        .iter()
        .flat_map(|kind| sent.map(|sent| Some((*kind, sent))));
    std::iter::once(None).chain(each).collect()
}

impl<W: Write> Printer<W> {
    /// What was seen of these records: fresh and stale, or for long enough, not quite, and just now.
    pub(crate) fn watches(&self, mems: &[u64], places: &[usize]) -> Vec<Watch> {
        let mut watches = Vec::new();
        for mem in mems {
            for place in places {
                let window = match RECORDS[*place] {
                    Seen::Held(1, ..) | Seen::Foreign => self.other_window.max(WINDOW),
                    _ => WINDOW,
                };
                let recent = NOW - INTERVAL;
                let ages: &[(u64, u64, u32)] = match RECORDS[*place] {
                    Seen::Absent | Seen::Vacant(..) => {
                        &[(recent, recent, 1), (recent - 501, recent - 501, 0)]
                    }
                    _ => &[
                        (NOW - window, recent, 5),
                        (NOW - window + 1, recent, 5),
                        (recent, recent, 0),
                    ],
                };
                watches.extend(ages.iter().map(|age| self.watch(*place, *mem, *age)));
            }
        }
        watches
    }

    /// Every state of one store, and those of three that differ in what counts for a majority.
    pub(crate) fn all(&mut self) -> Result<()> {
        let sole = self.electorate.size() == 1;
        let tenure = u64::try_from(self.timing.tenure().as_millis()).expect("small");
        let [exact, short, earlier] = [0, -1, 2 * 1000].map(|more: i64| {
            let born = (NOW - PROBATION).cast_signed() - more;
            born.cast_unsigned()
        });
        let ages: Vec<Option<Knowledge>> = [1, 2]
            .iter()
            .flat_map(|mem| [exact, short, earlier].map(|born| known(*mem, born)))
            .chain([None])
            .collect();
        let few_ages = vec![known(1, exact), known(1, short), known(2, short)];
        let hint = |mem: u64, place: usize| {
            let record = self.record(place);
            let mark = record.mark(&memory(mem, 0, place));
            Some((record, mark, at(NOW - 100)))
        };
        let none = vec![(false, None, None)];
        let claimed = (true, None, None);

        let standby = Choices {
            watches: match sole {
                true => self.watches(&[1, 2], &[0, 1, 2, 3, 4, 5, 6, 8]),
                false => self.watches(&[1], &[0, 2, 4]),
            },
            known: if sole {
                [few_ages.clone(), vec![None]].concat()
            } else {
                few_ages[1..].to_vec()
            },
            hints: if sole {
                vec![None, hint(1, 4), hint(2, 5)]
            } else {
                vec![None]
            },
            pending: if sole { pending(&[0, 3]) } else { vec![None] },
            holds: if sole {
                vec![none[0], claimed]
            } else {
                none.clone()
            },
        };
        let standby_first = Choices {
            pending: pending(&[0]),
            hints: vec![None, hint(1, 4)],
            ..Choices {
                watches: standby.watches.clone(),
                known: standby.known.clone(),
                hints: Vec::new(),
                pending: Vec::new(),
                holds: standby.holds.clone(),
            }
        };
        self.product(
            Role::Standby,
            &standby,
            if sole { &standby } else { &standby_first },
            tenure,
        )?;

        let granted = |sents: &[u64], mems: &[u64]| -> Vec<_> {
            let each = mems.iter().flat_map(|mem| {
                sents
                    .iter()
                    .map(|sent| (true, Some(*mem), Some((*sent, *mem))))
            });
            each.collect()
        };
        let sent = [NOW - 100, NOW - TIMEOUT];
        if self.other_window == WINDOW {
            return Ok(());
        }
        let claiming = |first: bool| Choices {
            watches: if sole {
                self.watches(&[1, 2], &[0, 2, 4, 6])
            } else {
                self.watches(&[1], &[6])[2..].to_vec()
            },
            known: if sole { ages.clone() } else { few_ages.clone() },
            hints: vec![None],
            pending: if first {
                pending(&[1])[1..].to_vec()
            } else {
                vec![None, Some((1, at(sent[0])))]
            },
            holds: if first {
                vec![claimed]
            } else {
                [vec![claimed, none[0]], granted(&sent[..1], &[1])].concat()
            },
        };
        self.product(Role::Claiming, &claiming(false), &claiming(true), tenure)?;

        let sents = [NOW - 1000, NOW - 2000, NOW - 2001];
        let proving = |first: bool| Choices {
            watches: if sole {
                self.watches(&[1, 2], &[2, 6, 8])
            } else {
                self.watches(&[1], &[6])[2..].to_vec()
            },
            known: if sole {
                ages.clone()
            } else {
                vec![
                    known(1, exact),
                    known(1, short),
                    known(1, earlier),
                    known(1, NOW - PROBATION - 500),
                ]
            },
            hints: vec![None],
            pending: if first { pending(&[2]) } else { vec![None] },
            holds: match sole {
                true => granted(&sents, &[1, 2]),
                false => [vec![none[0]], granted(&sents[..3], &[1])].concat(),
            },
        };
        self.product(Role::Probation, &proving(false), &proving(true), tenure)?;

        let leading = |first: bool| {
            let mut holds = granted(&[NOW - 1000, NOW - 2000], &[1]);
            holds.extend([(false, None, None), (true, None, Some((NOW - 1000, 1)))]);
            if sole || first {
                holds.extend([
                    (true, Some(2), Some((NOW - 1000, 2))),
                    (true, Some(1), Some((NOW - tenure, 1))),
                    claimed,
                ]);
            }
            Choices {
                watches: match sole || first {
                    true => [self.watches(&[2], &[0]), self.watches(&[1], &[2, 8])].concat(),
                    false => self.watches(&[1], &[6])[2..].to_vec(),
                },
                known: match first {
                    true => vec![known(1, short), known(2, NOW - 900)],
                    false if sole => vec![known(1, short), known(2, NOW - 900), known(2, short)],
                    false => vec![known(1, short)],
                },
                hints: vec![None],
                pending: if sole {
                    pending(&[0, 1, 2])
                } else if first {
                    pending(&[1, 2])
                } else {
                    vec![None]
                },
                holds,
            }
        };
        let (rest, first) = (leading(false), leading(true));
        for role in [Role::Leading, Role::Draining] {
            self.product(role, &rest, &first, tenure)?;
        }
        let releasing = |first: bool| Choices {
            watches: self.watches(&[1, 2], &[0, 2, 6, 8]),
            known: few_ages.clone(),
            hints: vec![None],
            pending: if first { pending(&[3]) } else { vec![None] },
            holds: vec![none[0], claimed],
        };
        if sole {
            self.product(Role::Releasing, &releasing(false), &releasing(true), tenure)?;
        }
        Ok(())
    }

    /// The candidates in `role`, with each choice for the first store, and each other one for the rest.
    pub(crate) fn product(
        &mut self,
        role: Role,
        rest: &Choices,
        first: &Choices,
        tenure: u64,
    ) -> Result<()> {
        let (first, rest) = (first.views(), rest.views());
        let others = self.electorate.size() - 1;
        for view in &first {
            for place in 0..rest.len().pow(u32::try_from(others).expect("few")) {
                let mut views = vec![view.clone()];
                let mut left = place;
                for _ in 0..others {
                    views.push(rest[left % rest.len()].clone());
                    left /= rest.len();
                }
                // Two stores that are alike are looked at in one order.
                if others == 2 && place / rest.len() > place % rest.len() {
                    continue;
                }
                self.leads(role, views, tenure)?;
            }
        }
        Ok(())
    }

    pub(crate) fn leads(&mut self, role: Role, views: Vec<PlantedView>, tenure: u64) -> Result<()> {
        let majority = self.electorate.majority();
        let holds = views.iter().filter(|view| view.hold.is_some()).count();
        let mut sent: Vec<Timestamp> = views
            .iter()
            .filter_map(|view| Some(view.acknowledged?.0))
            .collect();
        sent.sort_unstable();
        let acknowledged = sent.iter().rev().nth(majority - 1);
        let state = Planted {
            role,
            term: (role != Role::Standby).then(|| term(OURS)),
            deadline: None,
            ending: None,
            expired: false,
            last_claimed: (role == Role::Standby).then(|| term(OURS)),
            views,
        };
        match role {
            Role::Probation if holds < majority => Ok(()),
            Role::Leading | Role::Draining => {
                let Some(acknowledged) = acknowledged else {
                    return Ok(());
                };
                let endings: &[Option<LossReason>] = match role {
                    Role::Leading => &[None],
                    _ if majority > 1 => &[Some(LossReason::Resigned)],
                    _ => &[
                        Some(LossReason::Resigned),
                        Some(LossReason::StoreForgot),
                        Some(LossReason::Deposed),
                    ],
                };
                for ending in endings {
                    let latest = *acknowledged + Duration::from_millis(tenure);
                    let earlier = latest.before(Duration::from_millis(700));
                    for deadline in
                        [latest, earlier]
                            .into_iter()
                            .take(if majority > 1 { 1 } else { 2 })
                    {
                        let expired = deadline <= at(NOW - 1);
                        let deadline = Some(deadline);
                        self.start(&Planted {
                            deadline,
                            ending: *ending,
                            expired,
                            ..state.clone()
                        })?;
                    }
                }
                Ok(())
            }
            _ => self.start(&state),
        }
    }
}
