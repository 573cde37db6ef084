"""Every small state of the invariant, reachable or not: what the shipped `Candidate` does in it is a step of the relation,
and leads to a state of the invariant.

`examples/starts` prints the states of one candidate, the inputs, and what it does. Around each of them this builds
the world that leaves it least room: every store shows the newest record that anybody has seen, written as late as those
who saw it allow, with the youngest memory. What is then outside the invariant is no state that counts. All are judged
at once: each is a state of its own, along the first axis of every array.
"""
import itertools

import numpy as np
import z3

from concrete import compiled, every, some
from relation import BEAT, CLAIM, JOIN

NOW, LONG_AGO = 100_000, -10**8
WINDOW, TENURE, PROBATION = 5000, 4900, 10_000
OURS, CLOCK = 4000, 5000
NOBODY, US, OTHER, BEFORE, NEXT, LATER = range(6)
STANDBY, CLAIMING, PROVING, LEADING, DRAINING, RELEASING, DONE = range(7)
TICK, REPLY, WORK_ENDED, WOKEN = 0, 1, 6, 7
OBSERVES, CLAIMS, BEATS, RELEASES = 1, 2, 3, 4
# The records of `examples/starts`, as the relation has them, and none. The eighth is ours.
SHAPE = np.array([0, 2, 2, 3, 1, 0, 2, 2, 1, 2, 0])
MARK = np.array([1, 30, 40, 40, 41, 50, 60, 64, 67, 80, -1])
TAKEN = np.array([0, 0, 0, 0, 0, 1, 1, 1, 1, 2, -1])
HOLDER = np.array([NOBODY, BEFORE, OTHER, OTHER, NOBODY, NOBODY, US, US, NOBODY, LATER, NOBODY])
FLOOR = np.array([0, 2000, 3000, 3000, 3000, 0, OURS, OURS, OURS, 6000, 0])
HELD_BY_US = 7
COUNTER = np.where(SHAPE == 3, 7, 0)
# What is sent, as the example numbers it.
SHARED, SOLE, JOINS, HEARTBEAT = 1, 2, 3, 4
# Per store: the claim that elected, the last that was acknowledged, the one in flight, and the one that is sent now.
ELECTED, ANSWERED, FLYING, SENT = range(4)
# Per store: what was seen last, what the reply shows, what a release showed, and when the clock was read.
SEEN, SHOWN, HEARD, TIMED = range(4)


def read(path):
    with open(path, 'rb') as file:
        names = file.readline().decode().split()
        start = file.tell()
    # The file is large, and each process looks at parts of it.
    return names, np.memmap(path, np.int32, 'r', start).reshape(-1, len(names))


class Start:
    """Many states of one electorate, with an input each."""

    def __init__(self, model, names, numbers):
        self.model = model
        self.column = {name: numbers[:, place].astype(np.int64) for place, name in enumerate(names)}
        self.count, self.size = len(numbers), int(numbers[0, names.index('stores')])
        self.wrong, self.seen = [], {}
        count, size = self.count, self.size
        self.sizes = dict(Store=size, Candidate=6, Request=4 * size, Sight=4 * size, Word=1, Knowledge=2 * size)
        self.majorities = [set(one) for one in itertools.combinations(range(size), size // 2 + 1)]
        self.sizes['Majority'] = len(self.majorities)
        same = lambda array: np.broadcast_to(array, (count, *np.shape(array)))
        self.same = same
        of = np.array([[store in one for store in range(size)] for one in self.majorities])
        meet = np.array([[min(one & two) for two in self.majorities] for one in self.majorities])
        other = self['other_window']
        tenure, window = np.full((count, 6), TENURE), np.full((count, 6), WINDOW)
        for who in (OTHER, LATER):
            window[:, who], tenure[:, who] = other, other - other // 50
        self.values = dict(
            states=np.arange(count), of=same(of), shared=same(meet), alone=np.bool_(size == 1), none=0, tau=10**9, asked=0,
            tenure=tenure, window=window, probation=same(np.full(6, PROBATION)))
        lengths = {str(sort): self.sizes.get(str(sort), 3) for sorts in model.system.fields.values() for sort in sorts}
        for name, sorts in model.system.fields.items():
            kind = bool if sorts[-1] == z3.BoolSort() else np.int64
            self.values[name] = np.zeros([count, *[lengths[str(sort)] for sort in sorts[:-1]]], kind)
        self._stores()
        self._candidates()
        self._requests()

    def __getitem__(self, name):
        return self.column[name]

    def each(self, name):
        """A column of every store."""
        return np.stack([self.column[f'{name}_{store}'] for store in range(self.size)], axis=1)

    def first(self, values):
        """What is so of the first store, and of none of the others: all inputs come from that one."""
        found = np.zeros((self.count, self.size), np.int64)
        found[:, 0] = values
        return found

    def put(self, field, place, values):
        self.values[field][:, place * self.size:(place + 1) * self.size] = values

    # ---- the world around the candidate

    def _stores(self):
        v, first, each = self.values, self.first, self.each
        stores, size = np.arange(self.size), self.size
        role, input_ = self['role'], self['input']
        replied, woken = input_ == REPLY, input_ == WOKEN
        shows = replied | woken
        leads = np.isin(role, (LEADING, DRAINING))
        sights = [(each('w_mem'), each('w_record'), each('w_since')), (first(np.where(shows, self['r_mem'], 0)),
                  np.where(first(shows) != 0, first(self['r_record']), -1), np.full((self.count, size), NOW)),
                  (each('h_mem'), each('h_record'), np.full((self.count, size), NOW - 100)),
                  (each('k_mem'), np.full((self.count, size), -1), np.full((self.count, size), NOW))]
        self.sights = sights
        generation = np.maximum.reduce([mem for mem, _, _ in sights] + [each('a_mem'), each('hold'), np.ones_like(sights[0][0])])
        truth = np.zeros_like(generation)
        newest = np.full_like(generation, -1)
        for mem, record, _ in sights:
            newer = (mem == generation) & (MARK[record] > newest)
            truth, newest = np.where(newer, record, truth), np.where(newer, MARK[record], newest)
        # Where we were granted something, the record is ours, or was, whoever has not seen that yet.
        electing = leads[:, None] & np.isin(stores, list(self.majorities[0]))
        granted = (each('a_mem') == generation) | electing & (generation == 1)
        granted |= first(self['r_granted'] * np.isin(self['p_kind_0'], (CLAIMS, BEATS)) * self['r_mem']) == generation
        truth = np.where(granted & (newest < MARK[HELD_BY_US]), HELD_BY_US, truth)
        newest = MARK[truth]
        written, last_take = [np.full_like(generation, NOW) for _ in range(2)]
        for place, (mem, record, at) in enumerate(sights):
            absent = SHAPE[record] == 0
            for field, value in (('shown', mem > 0), ('received', (mem > 0) & (place in (SEEN, HEARD))), ('s_on', stores),
                                 ('s_generation', mem), ('s_shape', SHAPE[record]), ('s_mark', np.where(absent & (record != truth), -1, MARK[record])),
                                 ('s_taken', TAKEN[record]), ('s_clock', CLOCK), ('s_counter', COUNTER[record]), ('s_holder', HOLDER[record]),
                                 ('s_at', at)):
                self.put(field, place, value)
            if place in (SEEN, HEARD):
                same = mem == generation
                written = np.where(same & (MARK[record] == newest), np.minimum(written, at), written)
                last_take = np.where(same & (TAKEN[record] == TAKEN[truth]), np.minimum(last_take, at), last_take)
        reply_age = np.where(replied, self['r_age'], 0)
        age_of = lambda mem: np.where((first(shows) != 0) & (first(self['r_mem']) == mem), first(reply_age), 0)
        born = each('k_born')
        births = [np.minimum(np.where(each('k_mem') == mem, born, NOW - 1), NOW - age_of(mem)) for mem in (1, 2)]
        births[0] = np.where((each('k_mem') != 1) | leads[:, None], LONG_AGO, births[0])
        for mem, record, at in sights[:3]:
            births[1] = np.where(mem == 2, np.minimum(births[1], at), births[1])
        v['birth'][:, :, 1], v['birth'][:, :, 2] = births
        birth = np.where(generation == 2, births[1], births[0])
        lost = np.where(generation == 2, birth, LONG_AGO)
        # A term that was granted and counts is not above the floors.
        counting = np.isin(role, (CLAIMING, PROVING))[:, None] & (each('hold') > 0) | leads[:, None] | (first(self['r_granted']) != 0)
        floor = np.where(counting, OURS, 0)
        absent = SHAPE[truth] == 0
        young_claim = (each('hold') == 2) & ~leads[:, None] | (first(self['r_granted'] * (self['r_mem'] == 2)) != 0)
        v['lost_clock'][:, :, 1], v['lost_clock'][:, :, 2] = 1000, np.where(young_claim, OURS, CLOCK)
        held_by_us = HOLDER[truth] == US
        v['now'] = np.full(self.count, NOW)
        for field, value in dict(
                clock=10**7, generation=generation, lost=lost, has=True, age=NOW - birth, memory_floor=np.where(absent, floor, 0),
                taken=TAKEN[truth], listed=~absent, listed_floor=np.maximum(FLOOR[truth], floor), holder=HOLDER[truth], absent=absent,
                foreign=SHAPE[truth] == 3, counter=COUNTER[truth], mark=np.where(absent, MARK[truth], newest),
                floor=np.maximum(FLOOR[truth], floor), written=np.maximum(written, lost), last_take=np.where(TAKEN[truth] == 0, lost, last_take),
                claim_from=np.where(held_by_us, NOW - 3000, NOW), joined=~(held_by_us & np.isin(role, (CLAIMING, PROVING))[:, None]),
                grants=3).items():
            v[field][:] = value
        told = replied
        v['told'][:, 0], v['w_generation'][:, 0], v['w_age'][:, 0] = told, self['r_mem'], reply_age
        for field, value in (('known', each('k_mem') > 0), ('k_on', stores), ('k_generation', each('k_mem')), ('k_born', born)):
            self.put(field, 0, value)

    def _candidates(self):
        v, role = self.values, self['role']
        self.leads = np.isin(role, (LEADING, DRAINING))
        self.base = np.where(self.leads, self['deadline'] - TENURE, 0)
        sent = self.each('a_sent')
        oldest = np.where(sent < 0, NOW, sent).min(axis=1)
        self.since = np.minimum(self.base, oldest) - 3000
        for who, term in ((US, OURS), (OTHER, 3000), (BEFORE, 2000), (LATER, 6000)):
            v['term'][:, who], v['used'][:, who] = term, True
        v['ended'][:, BEFORE] = True
        v['ended'][:, US] = np.isin(role, (STANDBY, RELEASING))
        v['elected'][:, US] = v['leads'][:, US] = self.leads
        v['since'][:, US], v['began'][:, US], v['base'][:, US] = self.since, self.since + 1, self.base
        for place, stores in enumerate(self.majorities):
            backs = np.all([(sent[:, store] >= self.base) & (sent[:, store] >= 0) for store in stores], axis=0)
            v['lease_of'][:, US] = np.where(backs, place, v['lease_of'][:, US])
        stores = np.arange(self.size)
        v['elect_by'][:, US] = ELECTED * self.size + stores
        v['lease_by'][:, US] = ANSWERED * self.size + stores

    def _requests(self):
        v, first, each, role = self.values, self.first, self.each, self['role'][:, None]
        stores, leads = np.arange(self.size), self.leads[:, None]
        granted = (first(self['r_granted'] * np.isin(self['p_kind_0'], (CLAIMS, BEATS))) != 0)
        for request in range(4):
            self.put('on', request, stores)
            self.put('by', request, US)
            self.put('place', request, request)
            self.put('looks', request, True)
        electing = leads & np.isin(stores, list(self.majorities[0]))
        since, a_sent, a_mem = self.since[:, None], each('a_sent'), each('a_mem')
        p_kind, p_sent, hold = each('p_kind'), each('p_sent'), each('hold')
        began = np.where(role == CLAIMING, a_sent, NOW - 3000)
        answered = a_mem > 0
        proves = np.isin(role, (CLAIMING, PROVING))
        claims = p_kind == CLAIMS
        flying = claims | (p_kind == BEATS)
        kinds = np.where(claims, np.where(leads, JOIN, CLAIM), BEAT)
        counts = np.where(claims, ~leads, proves & (hold == first(self['r_mem'])))
        r_mem = first(self['r_mem'])
        for request, fields in (
                (ELECTED, dict(issued=electing, done=electing, kind=CLAIM, sent=since, executed=since, r_generation=1, x_generation=1,
                               r_claim_from=since, counts=electing)),
                (ANSWERED, dict(issued=answered, done=answered, kind=BEAT, sent=a_sent, executed=a_sent, r_generation=a_mem,
                                r_claim_from=began, counts=proves & (hold == a_mem))),
                (FLYING, dict(issued=flying, done=granted, kind=kinds, sent=p_sent, executed=p_sent, r_generation=r_mem, x_generation=1,
                              numbered=claims & ~leads & (self.size == 1), r_claim_from=np.where(claims, p_sent, NOW - 3000), counts=counts & granted))):
            for field, value in fields.items():
                self.put(field, request, value)

    # ---- judging

    def evaluate(self, formula, places=None):
        code = compiled(formula, True).code
        found = code(self.values | (places or {}), self.sizes, every, some)
        return np.broadcast_to(np.reshape(found, (np.shape(found)[0], -1)).all(axis=1), (self.count,))

    def holds(self):
        """Which of the states are in the invariant, and the clauses that each of the others breaks."""
        inside, broken = np.ones(self.count, bool), {}
        for name, clause in self.model.invariant(self.model.system.before).items():
            holds = self.evaluate(clause)
            broken[name] = ~holds
            inside &= holds
        return inside, broken

    def may(self, action, places):
        """In which states the guards of an action hold, those that read the state before alone."""
        fits = np.ones(self.count, bool)
        for guard in self.model.system.parts[action][1]:
            if not any(name.endswith('_next') for name in compiled(guard, True).names):
                fits &= self.evaluate(guard, places)
        return fits

    def demand(self, what, where, holds):
        """Something must hold in some of the states."""
        where = where & self.inside
        self.seen[what] = self.seen.get(what, 0) + int(where.sum())
        differs = where & ~holds
        if differs.any():
            place = int(np.flatnonzero(differs)[0])
            example = ' '.join(f'{name}={values[place]}' for name, values in self.column.items())
            self.wrong.append(f'    {what}: {int(differs.sum())} steps, such as\n      {example}')

    def own(self, after=''):
        """What a candidate keeps true of itself, beside the invariant."""
        role, kind, hold = self[f'role{after}'][:, None], self.each(f'p_kind{after}'), self.each(f'hold{after}')
        proves = np.isin(role, (CLAIMING, PROVING))
        return {name: clause.all(axis=1) for name, clause in {
            'what it holds it has claimed': (hold == 0) | (self.each(f'claimed{after}') == 1),
            'what it holds it does not release': (hold == 0) | (kind != RELEASES),
            'a hold counts under the memory that acknowledged it': (hold == 0) | ~proves | (hold == self.each(f'a_mem{after}')),
            'it waits for a claim where it has claimed, and holds nothing':
                (kind != CLAIMS) | (hold == 0) & (self.each(f'claimed{after}') == 1),
            'only who claims or leads waits for a claim': (kind != CLAIMS) | np.isin(role, (CLAIMING, LEADING, DRAINING)),
            'only who goes on holds': (hold == 0) | proves | np.isin(role, (LEADING, DRAINING)),
        }.items()}

    def judge(self):
        self.inside, _ = self.holds()
        self.inside &= np.all(list(self.own().values()), axis=0)
        for name, holds in self.own('_after').items():
            self.demand(name, np.ones(self.count, bool), holds)
        self._receive()
        self._send()
        self._act()
        after, broken = self.holds()
        for name, where in broken.items():
            self.demand(f'the invariant after it: {name}', np.ones(self.count, bool), ~where)
        return self

    def _receive(self):
        v, size = self.values, self.size
        shows = np.isin(self['input'], (REPLY, WOKEN))
        granted = v['done'][:, FLYING * size]
        v['received'][:, SHOWN * size] |= shows
        for store in range(size):
            column = lambda name: self[f'{name}_{store}']
            here = lambda fits: fits if store == 0 else np.zeros(self.count, bool)
            replied = here(self['input'] == REPLY)
            seen = column('w_record_after')
            same = lambda mem, record: (mem == column('w_mem_after')) & (record == seen)
            kept = same(column('w_mem'), column('w_record')) & (column('w_since') <= column('w_since_after'))
            came = replied & same(self['r_mem'], self['r_record']) & (column('w_since_after') >= NOW)
            self.demand('what it has seen was shown, and not later', seen >= 0, kept | came)
            mem, born = column('k_mem_after'), column('k_born_after')
            knew = (mem == column('k_mem')) & (born >= column('k_born'))
            learnt = replied & (mem == self['r_mem']) & (born >= NOW - self['r_age'])
            self.demand('what it knows of the age of a memory was said', mem > 0, knew | learnt)
            k = size + store
            for field, value in (('known', mem > 0), ('k_on', store), ('k_generation', mem), ('k_born', born)):
                v[field][:, k] = value
            kept = (column('a_sent_after') == column('a_sent')) & (column('a_mem_after') == column('a_mem'))
            came = here(granted) & (column('a_sent_after') == column('p_sent')) & (column('a_mem_after') == self['r_mem'])
            self.demand('what was acknowledged was granted, and sent then', column('a_mem_after') > 0, kept | came)
            mem = column('hold_after')
            kept, came = mem == column('hold'), replied & (mem == self['r_mem']) & (HOLDER[self['r_record']] == US)
            self.demand('what it holds it was granted', mem > 0, kept | came)

    def _send(self):
        v, size, stores = self.values, self.size, range(self.size)
        sends, terms = self.each('sent'), self.each('sent_term')
        claims = np.isin(sends, (SHARED, SOLE))
        term = np.where(claims, terms, 0).max(axis=1)
        again = claims.any(axis=1)
        v['used'][:, NEXT], v['term'][:, NEXT] = again, term
        # Its claim is over when it does no more under its term than release.
        goes_on = np.isin(self['role_after'], (CLAIMING, PROVING, LEADING, DRAINING))
        self.ended = ~goes_on | (self['term_after'] != OURS)
        self.demand('a new claim has a new term', again, term > OURS)
        self.demand('one who claims again has given up', again, self.ended)
        claimed = (self.each('claimed_after') == 1).any(axis=1) & (self['role_after'] == STANDBY)
        self.demand('a term that a store may have granted is not claimed again', claimed, self['last_after'] >= OURS)
        for store in stores:
            sent, r = sends[:, store], np.full(self.count, SENT * size + store)
            gives = dict(r=r, w=store)
            x = np.where(sent == JOINS, US, NEXT)
            generation, record = self[f'x_mem_{store}'], self[f'x_record_{store}']
            fits = {}
            for kind, name in ((SHARED, 'claim'), (JOINS, 'join'), (SOLE, '')):
                on_sight = f'a {name} is sent on what was seen' if name else 'a claim is sent that the store is to number'
                fits[kind] = np.zeros(self.count, bool)
                for sight in (SEEN, SHOWN, HEARD):
                    e = np.full(self.count, sight * size + store)
                    mem, shown, _ = self.sights[sight]
                    matches = (mem[:, store] == generation) & (shown[:, store] == record)
                    for clock in (SEEN, SHOWN, TIMED):
                        places = gives | dict(x=x, e=e, e2=np.full(self.count, clock * size + store))
                        fits[kind] |= matches & self.may(on_sight, places)
                        if name:
                            absent = (SHAPE[record] == 0) & (mem[:, store] == generation) & (TAKEN[shown[:, store]] == TAKEN[record])
                            fits[kind] |= absent & self.may(f'a {name} of an absent record is sent blindly', places)
            blind = (SHAPE[record] == 0) & self.may(
                'a claim of an absent record under any memory is sent for the store to number', gives | dict(x=x))
            self.demand('a claim rests on what was seen', sent == SHARED, fits[SHARED])
            self.demand('a claim that the store numbers rests on what was seen', sent == SOLE, fits[SOLE] | blind)
            self.demand('only an only store is claimed unseen', np.isin(sent, (SHARED, SOLE, JOINS)) & (generation == 0), (sent == SOLE) & blind)
            self.demand('a join rests on what was seen', sent == JOINS, fits[JOINS] & (terms[:, store] == OURS))
            beats = self.may('a heartbeat is sent', gives | dict(x=US)) & ~self.ended & (terms[:, store] == OURS)
            self.demand('a heartbeat is of one who goes on', sent == HEARTBEAT, beats)
            attests = self[f'attests_{store}']
            said = (attests == self[f'k_mem_after_{store}']) & (self[f'attested_{store}'] <= NOW - self[f'k_born_after_{store}'])
            self.demand('it attests what it knows', attests > 0, said)
            released = self[f'released_{store}']
            self.demand('it releases what is over', released == OURS, self.ended | v['ended'][:, US])
            kind = np.select([sent == JOINS, sent == HEARTBEAT], [JOIN, BEAT], CLAIM)
            for field, value in dict(
                    issued=sent > 0, by=np.where(sent == HEARTBEAT, US, x), on=store, kind=kind, sent=NOW, numbered=sent == SOLE,
                    looks=(sent != HEARTBEAT) | (attests > 0), x_generation=generation, x_shape=SHAPE[record], x_mark=MARK[record],
                    x_taken=TAKEN[record], x_counter=COUNTER[record]).items():
                v[field][:, SENT * size + store] = value

    def _act(self):
        v, size = self.values, self.size
        stores = np.arange(size)
        after = np.isin(self['role_after'], (LEADING, DRAINING))
        newest = np.where(v['done'][:, FLYING * size:][:, :size], FLYING, ANSWERED) * size + stores
        since = self['deadline_after'] - TENURE
        starts, moves = after & ~self.leads, after & self.leads & (since > self.base)
        places = dict(x=US, reply=newest, knows=self.same(size + stores), sent_since=since, sent_from=since)
        name = 'is elected by the age in the reply of the only store' if size == 1 else 'is elected'
        elected, renewed, by = np.zeros(self.count, bool), np.zeros(self.count, bool), np.zeros(self.count, np.int64)
        for majority in range(len(self.majorities)):
            here = places | dict(majority=np.full(self.count, majority))
            elects = self.may('is elected', here) | (size == 1) & self.may(name, here)
            renews = self.may('renews', here)
            by = np.where(starts & elects | moves & renews, majority, by)
            elected, renewed = elected | elects, renewed | renews
        self.demand('an election is by a majority that is old enough', starts, elected)
        self.demand('a deadline moves with what a majority acknowledged', moves, renewed)
        self.demand('its term is the one that was granted', after, self['term_after'] == OURS)
        acts = (self['acts_after'] == 1) & self.inside
        self.demand('who acts leads, before its deadline', acts, after & (NOW < self['deadline_after']) & (self['expired_after'] == 0))
        changes = starts | moves
        v['elected'][:, US] |= starts
        for field, value in (('since', since), ('began', np.full(self.count, NOW)), ('elect_of', by)):
            v[field][:, US] = np.where(starts, value, v[field][:, US])
        for field, value in (('base', since), ('lease_of', by)):
            v[field][:, US] = np.where(changes, value, v[field][:, US])
        v['lease_by'][:, US] = np.where(changes[:, None], newest, v['lease_by'][:, US])
        v['elect_by'][:, US] = np.where(starts[:, None], newest, v['elect_by'][:, US])
        v['leads'][:, US] = after & v['elected'][:, US]
        v['ended'][:, US] |= self.ended
