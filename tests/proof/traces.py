"""Runs of the simulator, step by step: each is a step of the relation, and leads to a state of the invariant.

A line of a run (`tests/simulation/simulator/recorder.rs`) becomes one or more steps. What the relation leaves open is
taken from the line; everything else follows from the relation, and the state of each store must be what the shipped
`apply` made of it. This is the abstraction:

    a candidate     a candidacy and a term; where the store numbers the term, a candidacy and its claim
    a mark          twice the beat, and one more for a vacant record: no two records under one memory have the same
    a generation    counts the losses of a store; ids of memories follow it
    time            nanoseconds of the observer, times SCALE, so that no two steps need the same moment
    ages            what was measured, divided by the fastest rate; a tenure is divided by the slowest
"""
import itertools
import json
import random

import numpy as np

from concrete import Broken, World
from relation import AHEAD, BEAT, CLAIM, JOIN

SCALE = 1024
# The clocks of the simulation run at 0.995 to 1.005 times the right rate.
FAST, SLOW, UNIT = 1005, 995, 1000
# Clocks show whole nanoseconds.
ROUNDING = 4 * SCALE
LONG_AGO = -10**17
SHAPES = dict(absent=0, vacant=1, held=2, foreign=3)


class Outside(Exception):
    """The run has left what is assumed; what it does from there on is not judged."""


class Replay:
    def __init__(self, model, lines, tau=None):
        self.model = model
        first = json.loads(lines[0])
        self.slots, stores = first['slots'], first['stores']
        self.terms = self._terms_granted(lines)
        sizes, constants = self._electorate(len(stores))
        self.world = World(model, sizes, constants | dict(tau=tau if tau is not None else LONG_AGO, none=0, asked=0))
        self.candidates, self.requests, self.generations, self.lost = {}, {}, {}, []
        self.sights, self.known, self.campaign, self.numbers = {}, {}, {}, {}
        self.steps, self.seen = 0, set()
        self._begin(stores)
        self.world.judge()

    @staticmethod
    def _terms_granted(lines):
        """The term of each claim that a store numbered: it is settled before it is known."""
        terms = {}
        for line in lines:
            if '"kind":"sole"' in line and '"granted":true' in line:
                line = json.loads(line)
                terms.setdefault(line['id'], line['state']['term'])
        return terms

    def _electorate(self, count):
        majorities = [set(one) for one in itertools.combinations(range(count), count // 2 + 1)]
        self.majorities = majorities
        of = np.array([[store in one for store in range(count)] for one in majorities])
        shared = np.array([[min(one & two) for two in majorities] for one in majorities])
        room = 1 << 12
        lengths = {name: np.ones(room, np.int64) for name in ('tenure', 'window', 'probation')}
        sizes = dict(Store=count, Majority=len(majorities), generation=64)
        return sizes, dict(of=of, shared=shared, alone=np.bool_(count == 1)) | lengths

    def _begin(self, stores):
        state = self.world.state
        state['lost'][:] = state['birth'][:] = 2 * LONG_AGO
        state['lost_clock'][:] = LONG_AGO
        state['joined'][:] = state['absent'][:] = True
        for store, kept in enumerate(stores):
            seen = self._abstract(store, kept)
            state['has'][store], state['age'][store] = seen['has'], seen['age']
            state['birth'][store, 0] = 2 * LONG_AGO
            self.generations[store] = {kept['memory']: 0} if 'memory' in kept else {}

    # ---- the steps

    def step(self, action, free=None, **places):
        changed = self.world.step(action, free, **places)
        self.steps += 1
        self.seen.add(action)
        self.world.judge(changed)

    def wait(self, now, store=None, clock=None):
        """Lets time pass until `now`, and by a moment more if a clock has to move on."""
        world, state = self.world, self.world.state
        at = now * SCALE
        moves = clock is not None and state['clock'][store] != clock
        if at <= state['now'] and not moves:
            return
        at = max(at, int(state['now']) + 1)
        passes = state['now'] < world.constants['tau'] <= at
        past = [((), state['lease_of'])] if passes else []
        free = dict(now=[((), at)], clock=[(store, clock)] if moves else [], past_of=[], past_by=[])
        if passes:
            free |= dict(past_of=[(slice(None), state['lease_of'])], past_by=[(slice(None), state['lease_by'])])
        self.step('time passes', free)

    def play(self, lines):
        for text in lines[1:]:
            line = json.loads(text)
            while self.lost and self.lost[0][0] <= line['t']:
                at, who = self.lost.pop(0)
                self.wait(at)
                self.end(who)
            self.wait(line['t'], line.get('store'), line.get('clock'))
            getattr(self, f'on_{line["what"]}')(line)

    def end(self, who):
        candidate = self.campaign.pop(who, None)
        if candidate is not None:
            self.step('its work has ended, or its claim is given up', x=candidate)

    def on_died(self, line):
        self.lost.append((line['t'], line['who']))
        self.lost.sort()

    def on_sent(self, line):
        kind, store, world = line['kind'], line['store'], self.world
        if kind not in ('claim', 'sole', 'join', 'beat'):
            return
        if kind == 'sole' or (kind == 'claim' and (line['who'], line['term']) not in self.candidates):
            self.number(line)
        x = self.campaign[line['who']] if kind in ('claim', 'sole') else self.candidates[line['who'], line['term']]
        r = world.new('Request')
        self.requests[line['id']] = [r]
        if kind == 'beat':
            looks = line['attests'] is not None
            self.step('a heartbeat is sent' if looks else 'a heartbeat is sent that attests nothing', r=r, x=x, w=store)
            return
        generation = self.generations[store].get(line['x_memory'], -1)
        shape = SHAPES[line['x_shape']]
        mark = 2 * line['x_beat'] + (shape == 1)
        may_be_any = kind == 'sole' and shape == 0
        if may_be_any:
            free = dict(x_generation=[(r, generation)], x_taken=[(r, line['x_taken'])])
            self.step('a claim of an absent record under any memory is sent for the store to number', free, r=r, x=x, w=store)
            return
        e = self.sights.get((line['slot'], store, generation, shape, line['x_counter'], line['x_taken'] if shape == 0 else mark))
        clock = self.clock_shown(line['slot'], store, generation)
        if e is not None and not world.state['received'][e]:
            e = None
        if e is not None:
            name = {'claim': 'a claim is sent on what was seen', 'join': 'a join is sent on what was seen',
                    'sole': 'a claim is sent that the store is to number'}[kind]
        elif shape == 0:
            e = next((one for key, one in self.sights.items() if key[:3] == (line['slot'], store, generation)
                      and world.state['received'][one] and world.state['s_taken'][one] == line['x_taken']), None)
            name = f'a {kind} of an absent record is sent blindly'
        if e is None:
            raise Broken(f'slot {line["slot"]} sends a {kind} to store {store} on what it was never shown: {line}')
        self.step(name, r=r, x=x, e=e, e2=clock if clock is not None else e)

    def clock_shown(self, slot, store, generation):
        shown = [one for key, one in self.sights.items() if key[:3] == (slot, store, generation)]
        return min(shown, key=lambda one: self.world.state['s_clock'][one], default=None)

    def number(self, line):
        """A candidacy claims: that is a new candidate."""
        if line['who'] in self.campaign:
            raise Broken(f'{line["who"]} claims again and has not given up')
        x, slot = self.world.new('Candidate'), self.slots[line['slot']]
        lengths = self.world.constants
        lengths['tenure'][x] = slot['tenure'] * SCALE * UNIT // SLOW + ROUNDING
        lengths['window'][x] = slot['window'] * SCALE * UNIT // FAST - ROUNDING
        lengths['probation'][x] = slot['probation'] * SCALE * UNIT // FAST - ROUNDING
        term = self.terms.get(line['id'], line['term'])
        self.step('a candidate numbers its term', dict(term=[(x, term)]), x=x)
        self.candidates[line['who'], term] = self.campaign[line['who']] = x
        self.numbers[line['who']] = (line['term'], term)

    def on_executed(self, line):
        store, state, kind = line['store'], self.world.state, line['kind']
        looked = line['state'].get('memory') and not line['state']['restarted']
        if looked and not state['has'][store]:
            self.step('a store that looks makes a memory', w=store)
            self.generations[store][line['memory']] = int(self.world.state['generation'][store])
        if line['granted'] and kind in ('claim', 'sole', 'join', 'beat'):
            self.grant(line)
        elif line['granted'] and kind == 'release':
            x = self.candidates[line['who'], line['term']]
            after = self._abstract(store, line['state'])
            if line['state']['shape'] == 'absent':
                free = dict(mark=[(store, int(self.world.state['mark'][store]) + 1)], floor=[(store, 0)],
                            memory_floor=[(store, after['memory_floor'])])
                self.step('a release deletes the record', free, x=x, w=store)
            else:
                self.step('a release is executed', dict(mark=[(store, after['mark'])]), x=x, w=store)
        elif line['granted'] and kind == 'forget' and not state['absent'][store]:
            free = dict(mark=[(store, int(state['mark'][store]) + 1)], floor=[(store, 0)],
                        memory_floor=[(store, line['state']['memory_floor'])])
            self.step('a vacant record is forgotten', free, w=store)
        elif line['granted'] and kind == 'depose':
            shape = SHAPES[line['x_shape']]
            e = self.sights.get((line['slot'], store, self.generations[store].get(line['x_memory'], -1), shape,
                                 line['x_counter'], 2 * line['x_beat'] + (shape == 1)))
            if e is None:
                raise Broken(f'an operator deposes what it was never shown: {line}')
            self.step('what stalled is deposed', dict(mark=[(store, self._abstract(store, line['state'])['mark'])]), e=e, w=store)
        paused = line['state']['paused']
        if paused != self.world.state['paused'][store]:
            self.step('an operator pauses the election, or resumes it', dict(paused=[(store, paused)]), w=store)
        self.compare(store, line)
        self.show(line)

    def grant(self, line):
        store, kind = line['store'], line['kind']
        copies = self.requests[line['id']]
        r = copies[0]
        if self.world.state['done'][r]:
            q, r = r, self.world.new('Request')
            if kind == 'sole':
                z = self.world.new('Candidate')
                term = line['state']['term']
                self.candidates[line['who'], term] = z
                lengths = self.world.constants
                for name in ('tenure', 'window', 'probation'):
                    lengths[name][z] = lengths[name][self.world.state['by'][q]]
                self.step('a claim that the store is to number arrives twice', dict(term=[(z, term)]), r=r, q=q, z=z)
            else:
                self.step('a message arrives twice', r=r, q=q)
        x = int(self.world.state['by'][r])
        self.attest(line)
        mark = self._abstract(store, line['state'])['mark']
        name = dict(claim='a claim is granted', sole='a claim is granted', join='a join is granted', beat='a heartbeat is granted')[kind]
        self.step(name, dict(mark=[(store, mark)]), r=r, x=x, w=store)

    def attest(self, line):
        store, state = line['store'], self.world.state
        if line['attests'] is None or not state['has'][store]:
            return
        generation, age = self.generations[store].get(line['attests']), line['attested'] * SCALE * UNIT // FAST
        if generation != state['generation'][store] or age <= state['age'][store]:
            return
        k = self.known.get((line['slot'], store, generation))
        if k is None:
            raise Broken(f'slot {line["slot"]} attests the age of a memory of store {store} that it was never shown')
        m = self.world.new('Word')
        self.step('somebody attests', dict(w_age=[(m, age)]), m=m, k=k)
        self.step('an attestation is executed', m=m, w=store)

    def show(self, line):
        """What the reply shows, if its slot has not been shown it before."""
        store, state = line['store'], self.world.state
        generation = self.generations[store].get(line['memory'])
        if generation != state['generation'][store] or not state['has'][store]:
            return
        for slot in range(len(self.slots)):
            key = self._key(slot, store)
            if key not in self.sights:
                e = self.world.new('Sight')
                self.step('a reply shows the record', w=store, e=e)
                self.sights[key] = e

    def _key(self, slot, store):
        state = self.world.state
        values = self.world.constants | state
        absent, foreign, vacant = state['absent'][store], state['foreign'][store], state['holder'][store] == 0
        shape = (4 if absent else 3) if foreign else 0 if absent else 1 if vacant else 2
        return (slot, store, int(state['generation'][store]), shape, int(state['counter'][store]) if foreign else 0,
                int(state['taken'][store] if absent else state['mark'][store]))

    def on_heard(self, line):
        store, slot = line['store'], line['slot']
        generation = self.generations[store].get(line['x_memory'])
        shape = SHAPES[line['x_shape']]
        mark = line['x_taken'] if shape == 0 else 2 * line['x_beat'] + (shape == 1)
        e = self.sights.get((slot, store, generation, shape, line['x_counter'], mark))
        now = int(self.world.state['now'])
        if e is not None and not self.world.state['received'][e]:
            self.step('a standby receives it', dict(s_at=[(e, now)]), e=e)
        if e is None:
            return
        age = line['age'] * SCALE * UNIT // FAST
        k = self.known.get((slot, store, generation))
        if k is None or now - age < self.world.state['k_born'][k]:
            if generation != self.world.state['generation'][store] or not self.world.state['has'][store]:
                return
            if age > self.world.state['age'][store]:
                raise Broken(f'store {store} was said to be older than it was')
            m, k = self.world.new('Word'), self.world.new('Knowledge')
            self.step('a reply shows the memory', w=store, m=m)
            born = now - int(self.world.state['w_age'][m])
            self.step('somebody learns the age of the memory', dict(k_born=[(k, born)]), m=m, m2=m, k=k)
            self.known[slot, store, generation] = k

    def on_phase(self, line):
        who, term = line['who'], line['term']
        x = self.campaign.get(who)
        if x is None:
            return
        if line['role'] == 'none' or (line['role'] == 'claiming' and term not in self.numbers[who]):
            # It has given up; where it claims again at once, that is another candidate.
            self.end(who)
        elif line['role'] == 'leading':
            deadline = line['deadline'] * SCALE
            if not self.world.state['elected'][x]:
                self.elect(x, line['slot'])
            if deadline > self.world.state['base'][x] + self.world.constants['tenure'][x]:
                self.renew(x, deadline)

    def answers(self, x):
        """By store: what it granted the candidate, the newest first."""
        state, count = self.world.state, self.world.used['Request']
        found = {}
        for r in np.flatnonzero(state['done'][:count] & (state['by'][:count] == x)):
            found.setdefault(int(state['on'][r]), []).append(int(r))
        return {store: sorted(rs, key=lambda r: -state['sent'][r]) for store, rs in found.items()}

    def elect(self, x, slot):
        state, lengths = self.world.state, self.world.constants
        alone, count = bool(lengths['alone']), len(self.generations)
        replies, known = np.zeros(count, np.int64), np.zeros(count, np.int64)
        best = {}
        for store, rs in self.answers(x).items():
            for r in rs:
                k = self.known.get((slot, store, int(state['r_generation'][r])))
                if k is None or not state['counts'][r]:
                    continue
                ripe = state['k_born'][k] + lengths['probation'][x]
                best.setdefault(store, []).append((int(state['sent'][r]), int(max(ripe, 0 if alone else state['r_claim_from'][r])), r, k))
        for since in sorted({one[0] for ones in best.values() for one in ones}, reverse=True):
            backing = {store: one for store, ones in best.items() for one in ones if one[0] >= since
                       and (one[1] <= since or alone and one[1] <= state['executed'][one[2]])}
            for majority, stores in enumerate(self.majorities):
                if stores <= set(backing):
                    for store in stores:
                        replies[store], known[store] = backing[store][2], backing[store][3]
                    name = 'is elected by the age in the reply of the only store' if alone else 'is elected'
                    self.step(name, dict(elect_by=[(x, replies)], lease_by=[(x, replies)]), x=x, majority=majority,
                              sent_since=since, reply=replies, knows=known)
                    return
        raise Broken(f'slot {slot} leads, and nothing has elected it')

    def renew(self, x, deadline):
        state = self.world.state
        base = deadline - int(self.world.constants['tenure'][x])
        newest = {store: rs[0] for store, rs in self.answers(x).items()}
        sent = {store: int(state['sent'][r]) for store, r in newest.items()}
        for majority, stores in enumerate(self.majorities):
            if stores <= set(sent) and min(sent[store] for store in stores) >= base:
                since = min(sent[store] for store in stores)
                replies = np.array([newest.get(store, 0) for store in range(len(self.generations))])
                self.step('renews', dict(lease_by=[(x, replies)]), x=x, majority=majority, sent_from=since, reply=replies)
                return
        raise Broken(f'a deadline moved to {deadline // SCALE} without a majority')

    def on_lost(self, line):
        store, state = line['store'], self.world.state
        kept, after = line['state'], self._abstract(store, line['state'])
        gone = dict(mark=[(store, 0)], floor=[(store, 0)])
        if kept.get('memory') and not kept['restarted']:
            if state['absent'][store]:
                return
            if state['listed'][store]:
                if state['listed_floor'][store] > state['clock'][store] + AHEAD:
                    raise Outside('a floor far ahead of the clock')
                self.step('a listed record alone is lost', gone, w=store)
            else:
                self.step('an unlisted record alone is lost', dict(gone, mark=[(store, int(state['mark'][store]) + 1)]), w=store)
            return
        granted = state['done'] & (state['on'] == store)
        if np.any(state['term'][state['by'][granted]] >= line['clock']):
            raise Outside('a clock behind a term that was granted')
        self.generations[store] = {name: number for name, number in self.generations[store].items()}
        fields = ('holder', 'absent', 'mark', 'floor', 'paused', 'memory_floor', 'taken', 'listed', 'listed_floor')
        free = {field: [(store, after[field])] for field in fields} | dict(
            age=[(store, 0)], clock=[(store, line['clock'])], foreign=[(store, False)], counter=[(store, 0)])
        self.step('a store loses all it holds, or goes back to something older', free, w=store)

    # ---- the abstraction

    def _abstract(self, store, kept):
        """The store's part of the state, from what the shipped function keeps."""
        shape, memory = SHAPES[kept['shape']], 'memory' in kept
        missed = memory and kept['listed'] >= 0 and kept['floor'] == 0
        return dict(
            has=memory and not kept['restarted'] and not missed, age=kept['age'] * SCALE * UNIT // FAST if memory else 0,
            memory_floor=kept['memory_floor'] if memory else 0, taken=kept['taken'] if memory else 0,
            listed=kept['listed'] >= 0, listed_floor=max(kept['listed'], 0), absent=shape == 0,
            holder=self.candidates.get((kept['holder'], kept['term']), -1) if kept['holder'] else 0,
            mark=2 * kept['beat'] + (shape == 1) if shape else 0, floor=kept['floor'], paused=kept['paused'])

    def compare(self, store, line):
        """The relation and the shipped function must have made the same of the store."""
        state, after = self.world.state, self._abstract(store, line['state'])
        skipped = {'mark', 'floor'} if after['absent'] else set()
        skipped |= set() if after['listed'] else {'listed_floor'}
        skipped |= set() if after['has'] else {'age'}
        for field, value in after.items():
            if field not in skipped and state[field][store] != value:
                raise Broken(f'{field} of store {store} is {value}, and the relation says {state[field][store]}: {line}')


def replayed(model, lines, seed):
    """Replays a run; a moment `tau` of it is chosen by its seed. Returns its steps, and the actions that it has shown."""
    last = json.loads(lines[-1])['t'] * SCALE
    replay = Replay(model, lines, random.Random(seed).randrange(last + 1))
    try:
        replay.play(lines)
    except Outside as reason:
        return replay.steps, replay.seen, str(reason)
    replay.world.judge()
    return replay.steps, replay.seen, None
