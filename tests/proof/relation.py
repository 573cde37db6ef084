"""The relation: what a store, a candidate, an operator, a network and bad luck may do in one step.

ANY number of candidates, of stores and of elections that share the stores; unbounded time. A message is lost,
delayed without bound, reordered or executed twice. All that is known of majorities is that two of them share a store,
so 1, 3 and 5 stores are the same proof. Time is that of an outside observer: `clocks.py` turns what machines measure
with clocks of their own into it.

A *candidate* here is one claim of one candidacy: the pair of id and term that a record names. So a candidacy that
claims again is another one. A *generation* counts the memories of a store: it rises at the moment of a loss, and the
memory itself (`has`) is made when the store next looks.
"""
import z3
from z3 import And, Bool, BoolSort, BoolVal, Const, Consts, Function, If, Implies, Int, IntSort, IntVal, Not, Or, Real, \
    RealSort, RealVal

from system import System

BEAT, CLAIM, JOIN = 0, 1, 2
# How a record is held. A foreign program touched the counter of one that is there, or of one that is not.
ABSENT, VACANT, HELD, FOREIGN, FOREIGN_ALONE = 0, 1, 2, 3, 4
# How far a listed floor may be ahead of the store's clock to count when its record is missed. Clocks show what terms are
# numbered in, microseconds.
AHEAD = 60_000_000

Candidate, Store, Majority, Request, Sight, Word, Knowledge = [
    z3.DeclareSort(name) for name in ('Candidate', 'Store', 'Majority', 'Request', 'Sight', 'Word', 'Knowledge')]
Yes, Number, Time = BoolSort(), IntSort(), RealSort()
yes, no, zero = BoolVal(True), BoolVal(False), RealVal(0)

none = Const('none', Candidate)
# The longest that a candidate acts after it sent what a majority acknowledged; the shortest that anyone waits for its
# stalled counter; and the age of a memory that it waits for.
tenure, window, probation = [Function(name, Candidate, Time) for name in ('tenure', 'window', 'probation')]
of = Function('of', Majority, Store, Yes)
shared = Function('shared', Majority, Majority, Store)
# Whether the electorate is one store, which then numbers the terms.
alone = Bool('alone')
# Any moment, the same in all obligations: what is proved of it holds for each.
tau = Real('tau')

FIELDS = dict(
    now=(Time,),
    # A store: its clock, its memory, and the record of the election.
    clock=(Store, Number), lost_clock=(Store, Number, Number), generation=(Store, Number), lost=(Store, Time),
    has=(Store, Yes), birth=(Store, Number, Time), age=(Store, Time), memory_floor=(Store, Number),
    taken=(Store, Number), listed=(Store, Yes), listed_floor=(Store, Number),
    holder=(Store, Candidate), absent=(Store, Yes), foreign=(Store, Yes), counter=(Store, Number),
    mark=(Store, Number), floor=(Store, Number), paused=(Store, Yes),
    # Of a store, for the proof alone: when the record was last written, last taken from a holder, and claimed
    # (when its request was sent); whether its hold came of a join; and the number of its next grant.
    written=(Store, Time), last_take=(Store, Time), claim_from=(Store, Time), joined=(Store, Yes), grants=(Store, Number),
    # A candidate: what it knows of itself, and by what it was elected, and is renewed.
    term=(Candidate, Number), used=(Candidate, Yes), ended=(Candidate, Yes), elected=(Candidate, Yes),
    since=(Candidate, Time), began=(Candidate, Time), elect_of=(Candidate, Majority), elect_by=(Candidate, Store, Request),
    leads=(Candidate, Yes), base=(Candidate, Time), lease_of=(Candidate, Majority), lease_by=(Candidate, Store, Request),
    past_of=(Candidate, Majority), past_by=(Candidate, Store, Request),
    # A claim, join or heartbeat: what it says, what it expects of the record, and what became of it.
    issued=(Request, Yes), by=(Request, Candidate), on=(Request, Store), kind=(Request, Number), sent=(Request, Time),
    numbered=(Request, Yes), looks=(Request, Yes), x_generation=(Request, Number), x_shape=(Request, Number),
    x_mark=(Request, Number), x_taken=(Request, Number), x_counter=(Request, Number),
    done=(Request, Yes), r_generation=(Request, Number), executed=(Request, Time), place=(Request, Number),
    r_claim_from=(Request, Time), counts=(Request, Yes),
    # What a store has shown of the record, and when somebody received that.
    shown=(Sight, Yes), received=(Sight, Yes), s_on=(Sight, Store), s_generation=(Sight, Number), s_shape=(Sight, Number),
    s_mark=(Sight, Number), s_taken=(Sight, Number), s_clock=(Sight, Number), s_counter=(Sight, Number),
    s_holder=(Sight, Candidate), s_at=(Sight, Time),
    # What is said of the age of a memory, by a store or by somebody, and what somebody knows of its birth.
    told=(Word, Yes), w_on=(Word, Store), w_generation=(Word, Number), w_age=(Word, Time),
    known=(Knowledge, Yes), k_on=(Knowledge, Store), k_generation=(Knowledge, Number), k_born=(Knowledge, Time),
)


def larger(a, b):
    return If(a > b, a, b)


def shape(s, u):
    return If(s.foreign(u), If(s.absent(u), FOREIGN_ALONE, FOREIGN),
              If(s.absent(u), ABSENT, If(s.holder(u) == none, VACANT, HELD)))


def is_free(shape):
    return Or(shape == ABSENT, shape == VACANT)


def floors(s, u):
    """What the term of a claim must exceed."""
    return If(s.absent(u), s.memory_floor(u), larger(s.floor(u), s.memory_floor(u)))


def acting(s, c):
    return And(s.leads(c), s.now < s.base(c) + tenure(c))


def meet(a, b):
    return And(of(a, shared(a, b)), of(b, shared(a, b)))


def at(value, *place):
    return [(place, value)]


class Relation:
    """The actions. `mutant` names one rule that is broken, of `mutants.py`."""

    def __init__(self, mutant=None):
        self.mutant, self.met = mutant, set()
        self.system = System(FIELDS)
        self.s, self.n = self.system.before, self.system.after
        self.c, self.d, self.x, self.z = Consts('c d x z', Candidate)
        self.r, self.q = Consts('r q', Request)
        self.e, self.e2 = Consts('e e2', Sight)
        self.m, self.m2 = Consts('m m2', Word)
        self.k = Const('k', Knowledge)
        self.u, self.w = Consts('u w', Store)
        self.majority = Const('majority', Majority)
        self._assume()
        self._time_and_loss()
        self._memory()
        self._others()
        self._sending()
        self._store()
        self._acting()

    def rule(self, name, kept, broken):
        """A rule of the protocol, or what the mutant of that name does instead."""
        self.met.add(name)
        kept, broken = [yes if each is True else no if each is False else each for each in (kept, broken)]
        return broken if self.mutant == name else kept

    def _assume(self):
        c, d, u, w = self.c, self.d, self.u, self.w
        waits = self.rule('short probation', window(c) <= probation(d),
                          Implies(c == d, window(c) <= probation(d)))
        waits = self.rule('no probation', waits, probation(d) > 0)
        self.system.axioms = [
            z3.ForAll([c], And(0 < tenure(c), self.rule('no margin', tenure(c) <= window(c), window(c) > 0))),
            z3.ForAll([c, d], waits),
            z3.ForAll([u, w], Implies(alone, u == w))]

    # ---- time, and what is lost

    def _time_and_loss(self):
        s, n, u, w, c = self.s, self.n, self.u, self.w, self.c
        act, r = self.system.action, self.r
        passes = And(s.now < tau, tau <= n.now)
        act('time passes', dict(now=None, clock=None, past_of=None, past_by=None),
            n.now > s.now,
            # A clock may jump, and may be set back, but not to before the last loss.
            z3.ForAll([u], n.clock(u) >= s.lost_clock(u, s.generation(u))),
            z3.ForAll([c], n.past_of(c) == If(passes, s.lease_of(c), s.past_of(c))),
            z3.ForAll([c, u], n.past_by(c, u) == If(passes, s.lease_by(c, u), s.past_by(c, u))))
        after = s.generation(w) + self.rule('a loss keeps the id', 1, 0)
        begins = dict(generation=at(after, w), lost=at(s.now, w), has=at(no, w), written=at(s.now, w), claim_from=at(s.now, w),
                      joined=at(yes, w), last_take=at(s.now, w))
        anything = ['holder', 'absent', 'foreign', 'counter', 'mark', 'floor', 'paused', 'memory_floor', 'taken', 'listed',
                    'listed_floor', 'age', 'clock']
        act('a store loses all it holds, or goes back to something older',
            dict(begins, lost_clock=at(n.clock(w), w, after), **{field: None for field in anything}),
            *[self.system.only_at(field, w) for field in anything],
            n.clock(w) >= s.lost_clock(w, s.generation(w)),
            # Assumption 5 of docs/guarantees.md: its clock is past the terms that it granted.
            z3.ForAll([r], Implies(And(s.done(r), s.on(r) == w), s.term(s.by(r)) < n.clock(w))),
            Implies(n.absent(w), n.holder(w) == none),
            Or(n.holder(w) == none, s.used(n.holder(w))))
        there = Not(s.absent(w))
        gone = dict(holder=at(none, w), absent=at(yes, w), foreign=at(no, w), mark=None, floor=None)
        vanishes = [self.system.only_at('mark', w), self.system.only_at('floor', w)]
        counted = self.rule('the list has no floors', larger(s.memory_floor(w), s.listed_floor(w)), s.memory_floor(w))
        act('a listed record alone is lost', dict(begins, **gone, listed=at(no, w), lost_clock=at(
            s.lost_clock(w, s.generation(w)), w, after), memory_floor=at(counted, w)),
            *vanishes, there, s.listed(w),
            # A floor further ahead is taken for a forgery.
            s.listed_floor(w) <= s.clock(w) + AHEAD)
        act('an unlisted record alone is lost', gone, *vanishes, n.mark(w) > s.mark(w), there, self.rule('no list', Not(s.listed(w)), True))

    # ---- the memory of a store, and who knows it

    def _memory(self):
        s, n, w, m, m2, k = self.s, self.n, self.w, self.m, self.m2, self.k
        act, only_at = self.system.action, self.system.only_at
        act('a store that looks makes a memory', dict(has=at(yes, w), birth=at(s.now, w, s.generation(w)), age=at(zero, w)),
            Not(s.has(w)))
        act('a store that measures time itself counts it', dict(age=None), only_at('age', w), s.has(w),
            n.age(w) >= s.age(w), n.age(w) <= s.now - s.birth(w, s.generation(w)))
        say = lambda on, generation, age: dict(told=at(yes, m), w_on=at(on, m), w_generation=at(generation, m), w_age=at(age, m))
        act('a reply shows the memory', say(w, s.generation(w), s.age(w)), s.has(w), Not(s.told(m)))
        asked = Real('asked')
        received = self.rule('age from the send', s.now, asked)
        age = self.rule('age of another memory', s.w_age(m), s.w_age(m2))
        act('somebody learns the age of the memory', dict(known=at(yes, k), k_on=at(s.w_on(m), k), k_generation=at(
            s.w_generation(m), k), k_born=None), self.system.only_at('k_born', k),
            s.told(m), s.told(m2), Not(s.known(k)), asked <= s.now, n.k_born(k) >= received - age)
        act('somebody attests', dict(say(s.k_on(k), s.k_generation(k), None), w_age=None), only_at('w_age', m),
            s.known(k), Not(s.told(m)), n.w_age(m) <= s.now - s.k_born(k))
        act('an attestation is executed', dict(age=at(larger(s.age(w), s.w_age(m)), w)),
            s.told(m), s.w_on(m) == w, s.has(w),
            self.rule('attests any memory', s.w_generation(m) == s.generation(w), True))

    # ---- other elections, foreign programs, operators

    def _others(self):
        s, n, w = self.s, self.n, self.w
        act, only_at = self.system.action, self.system.only_at
        act('another election deletes a record', dict(memory_floor=None), only_at('memory_floor', w), s.has(w),
            n.memory_floor(w) >= s.memory_floor(w))
        act('another election changes hands', dict(taken=at(s.taken(w) + 1, w)), s.has(w))
        act('a foreign program touches the counter', dict(foreign=None, counter=None),
            only_at('foreign', w), only_at('counter', w))
        act('an operator pauses the election, or resumes it', dict(paused=None), only_at('paused', w))

    # ---- what is seen, and what is sent on it

    def _sending(self):
        s, n, w, e, e2, r, q, x, z = self.s, self.n, self.w, self.e, self.e2, self.r, self.q, self.x, self.z
        act, k = self.system.action, self.k
        act('a reply shows the record', dict(
            shown=at(yes, e), received=at(no, e), s_on=at(w, e), s_generation=at(s.generation(w), e), s_shape=at(shape(s, w), e),
            s_mark=at(s.mark(w), e), s_taken=at(s.taken(w), e), s_clock=at(s.clock(w), e), s_counter=at(s.counter(w), e),
            s_holder=at(s.holder(w), e)), s.has(w), Not(s.shown(e)))
        act('a standby receives it', dict(received=at(yes, e), s_at=None), self.system.only_at('s_at', e),
            s.shown(e), Not(s.received(e)), n.s_at(e) <= s.now, self.rule('stall from the send', n.s_at(e) == s.now, True))
        stood = s.s_at(e) + window(s.s_holder(e)) <= s.now
        stood = self.rule('the own window', stood, s.s_at(e) + window(x) <= s.now)
        self.stalled = Or(s.s_holder(e) == none, self.rule('no stall', stood, True))
        fresh = And(Not(s.issued(r)), Not(s.done(r)), x != none)

        def send(kind, on, numbered=no, looks=yes, generation=IntVal(0), shape=IntVal(0), mark=IntVal(0), taken=IntVal(0),
                 counter=IntVal(0)):
            return dict(issued=at(yes, r), by=at(x, r), on=at(on, r), kind=at(IntVal(kind), r), sent=at(s.now, r),
                        numbered=at(numbered, r), looks=at(looks, r), x_generation=at(generation, r), x_shape=at(shape, r),
                        x_mark=at(mark, r), x_taken=at(taken, r), x_counter=at(counter, r), done=at(no, r))
        self.send, self.fresh = send, fresh
        expects = dict(generation=s.s_generation(e), shape=s.s_shape(e), mark=s.s_mark(e), taken=s.s_taken(e),
                       counter=s.s_counter(e))
        blindly = dict(generation=s.s_generation(e), shape=IntVal(ABSENT), taken=s.s_taken(e))
        act('a candidate numbers its term', dict(used=at(yes, x), term=None), self.system.only_at('term', x),
            Not(s.used(x)), x != none)
        # The clock was read under the memory that the claim names: by the same reply, or, for a claim on a published
        # release, by an earlier one.
        read = And(s.shown(e2), s.s_on(e2) == s.s_on(e), s.s_generation(e2) == s.s_generation(e), s.s_clock(e2) <= s.term(x))
        claims = And(s.used(x), Not(s.elected(x)), self.rule('a term behind the clock', read, True))
        joins = self.rule('a join after the end', acting(s, x), s.elected(x))
        free_or_stalled = self.rule('a store that does not answer is vacant', self.stalled, True)
        for kind, name, may in ((CLAIM, 'claim', claims), (JOIN, 'join', joins)):
            act(f'a {name} is sent on what was seen', send(kind, s.s_on(e), **expects), fresh, may, s.received(e), free_or_stalled)
            act(f'a {name} of an absent record is sent blindly', send(kind, s.s_on(e), **blindly), fresh, may, s.received(e))
        numbers = And(alone, s.used(x), Not(s.elected(x)))
        act('a claim is sent that the store is to number', send(CLAIM, s.s_on(e), numbered=yes, **expects), fresh, numbers,
            s.received(e), free_or_stalled)
        act('a claim of an absent record under any memory is sent for the store to number',
            dict(send(CLAIM, w, numbered=yes, shape=IntVal(ABSENT)), x_generation=None, x_taken=None),
            self.system.only_at('x_generation', r), self.system.only_at('x_taken', r), fresh, numbers)
        act('a heartbeat is sent', send(BEAT, w), fresh, s.used(x), Not(s.ended(x)))
        act('a heartbeat is sent that attests nothing', send(BEAT, w, looks=no), fresh, s.used(x), Not(s.ended(x)))
        copy = {field: at(getattr(s, field)(q), r) for field in (
            'issued', 'on', 'kind', 'sent', 'numbered', 'looks', 'x_generation', 'x_shape', 'x_mark', 'x_taken', 'x_counter')}
        act('a message arrives twice', dict(copy, by=at(s.by(q), r), done=at(no, r)), Not(s.issued(r)), Not(s.done(r)),
            s.issued(q), Not(s.numbered(q)))
        # A second copy gets another term, under which its candidate never acts.
        act('a claim that the store is to number arrives twice', dict(
            copy, by=at(z, r), done=at(no, r), used=at(yes, z), term=None, ended=at(yes, z)), self.system.only_at('term', z),
            Not(s.issued(r)), Not(s.done(r)), s.issued(q), s.numbered(q), Not(s.used(z)), z != none)

    # ---- what a store grants

    def _store(self):
        s, n, w, r, x, e = self.s, self.n, self.w, self.r, self.x, self.e
        act, only_at = self.system.action, self.system.only_at
        same = s.x_generation(r) == s.generation(w)
        absent = And(Or(self.rule('an absent record under any memory', same, True), And(alone, s.numbered(r))),
                     self.rule('no count of changes of hands', Or(s.numbered(r), s.x_taken(r) == s.taken(w)), True))
        counter = self.rule('a foreign counter is not compared', Or(s.x_shape(r) != FOREIGN, s.x_counter(r) == s.counter(w)), True)
        moved = self.rule('a counter that has moved on', s.x_mark(r) == s.mark(w), True)
        record = And(self.rule('a record under any memory', same, True), moved, counter)
        alone_there = And(same, s.x_counter(r) == s.counter(w),
                          self.rule('a foreign counter without a count of changes of hands', s.x_taken(r) == s.taken(w), True))
        expected = And(self.rule('any shape', s.x_shape(r) == shape(s, w), True), If(s.x_shape(r) == ABSENT, absent, If(
            s.x_shape(r) == FOREIGN_ALONE, alone_there, record)))
        self.as_expected = self.rule('any mark', expected, True)
        arrives = And(s.issued(r), s.on(r) == w, s.by(r) == x, Not(s.done(r)))
        rises = [only_at('mark', w), n.mark(w) > s.mark(w)]
        claimed = [rises[0], self.rule('a claim begins its counter anew', rises[1], n.mark(w) != s.mark(w))]
        takes = Not(is_free(shape(s, w)))
        # From when on a claim counts: a store that numbers it may compare it with nothing that was seen.
        began = If(s.numbered(r), s.now, s.sent(r))
        lists = self.rule('a claim lists nothing', yes, s.listed(w))
        listed = lambda floor: self.rule('a claim lists nothing', floor, s.listed_floor(w))
        took = dict(
            holder=at(x, w), absent=at(no, w), foreign=at(no, w), mark=None, listed=at(lists, w), written=at(s.now, w),
            claim_from=at(began, w), taken=at(s.taken(w) + If(takes, 1, 0), w),
            last_take=at(If(takes, s.now, s.last_take(w)), w), grants=at(s.grants(w) + 1, w))
        self.granted = lambda claim_from, counts: dict(
            done=at(yes, r), r_generation=at(s.generation(w), r), executed=at(s.now, r), place=at(s.grants(w), r),
            r_claim_from=at(claim_from, r), counts=at(counts, r))
        above = self.rule('a claim below the memory floor', floors(s, w), If(s.absent(w), 0, s.floor(w)))
        above = self.rule('a claim below the record floor alone', above, If(s.absent(w), s.memory_floor(w), s.floor(w)))
        numbered = self.rule('no clock in the script', Implies(s.numbered(r), s.term(x) >= s.clock(w)), True)
        claimed_floor = larger(above, s.term(x))
        act('a claim is granted', dict(took, **self.granted(began, yes), joined=at(no, w), floor=at(claimed_floor, w),
                                       listed_floor=at(listed(claimed_floor), w)),
            *claimed, arrives, s.kind(r) == CLAIM, s.has(w), self.as_expected, self.rule('a term that does not rise', s.term(x) > above, True), numbered,
            self.rule('a claim in a pause', Not(s.paused(w)), True))
        joined_floor = self.rule('a join lowers the floor', If(s.absent(w), s.term(x), larger(s.floor(w), s.term(x))), s.term(x))
        act('a join is granted', dict(took, **self.granted(began, self.rule('a join elects', no, yes)), joined=at(yes, w), floor=at(joined_floor, w),
                                      listed_floor=at(listed(joined_floor), w)),
            *claimed, arrives, s.kind(r) == JOIN, s.has(w), self.as_expected)
        untouched = Not(s.foreign(w))
        mine = And(s.holder(w) == x, x != none)
        beats = And(self.rule('a heartbeat on the counter of a stranger', untouched, True), self.rule('a heartbeat of anybody', mine, s.holder(w) != none))
        lists = self.rule('a heartbeat lists nothing', True, s.listed(w))
        lists_floor = self.rule('a heartbeat lists nothing', s.floor(w), s.listed_floor(w))
        counts = self.rule('a hold over two memories', Not(s.joined(w)), Or(Not(s.joined(w)), Not(s.elected(x))))
        act('a heartbeat is granted', dict(
            self.granted(s.claim_from(w), self.rule('what was not looked at counts', And(s.looks(r), counts), Or(Not(s.looks(r)), counts))), mark=None, listed=at(lists, w),
            listed_floor=at(lists_floor, w), written=at(s.now, w), grants=at(s.grants(w) + 1, w)),
            rises[0], self.rule('a counter that does not move', rises[1], n.mark(w) == s.mark(w)), arrives,
            s.kind(r) == BEAT, beats,
            Or(s.has(w), Not(s.looks(r))))
        mine = self.rule('a release of anybody', mine, s.holder(w) != none)
        mine = self.rule('a release of an older term', mine, And(s.holder(w) != none, x != none, s.term(x) <= s.term(s.holder(w))))
        self.over = And(self.rule('a release takes the counter of a stranger', untouched, True), mine,
                        self.rule('a release before the end', s.ended(x), True))
        act('a release is executed', dict(holder=at(none, w), mark=None), *rises, self.over)
        raised = larger(s.memory_floor(w), s.floor(w))
        act('a release deletes the record', dict(
            holder=at(none, w), absent=at(yes, w), listed=at(no, w), mark=None, floor=None, memory_floor=None),
            *rises, only_at('floor', w), only_at('memory_floor', w), self.over,
            self.rule('a deletion forgets the floor', n.memory_floor(w) >= raised, n.memory_floor(w) == s.memory_floor(w)))
        act('a vacant record is forgotten', dict(
            absent=at(yes, w), listed=at(no, w), mark=None, floor=None, memory_floor=None),
            *rises, only_at('floor', w), only_at('memory_floor', w), s.has(w),
            self.rule('a holder is forgotten', shape(s, w) == VACANT, Or(shape(s, w) == VACANT, shape(s, w) == HELD)), n.memory_floor(w) >= raised)
        evidence = And(s.received(e), s.s_on(e) == w, s.has(w), s.s_generation(e) == s.generation(w), s.s_shape(e) == shape(s, w))
        same_counter = self.rule('deposes whatever the counter of a stranger is', Or(Not(s.foreign(w)), s.s_counter(e) == s.counter(w)), True)
        unchanged = self.rule('deposes what has changed', s.s_mark(e) == s.mark(w), True)
        held = self.rule('deposes no one', takes, True)
        deposed = [rises[0], self.rule('a deposition lets a counter come again', rises[1], n.mark(w) != s.mark(w))]
        removed = dict(holder=at(none, w), foreign=at(no, w), mark=None, taken=at(s.taken(w) + 1, w), last_take=at(s.now, w))
        act('what stalled is deposed', removed, *deposed, held, Not(s.absent(w)), evidence, same_counter,
            self.rule('deposes what has not stalled', self.stalled, True), unchanged)
        act('a foreign counter without a record is deposed', dict(removed, absent=at(no, w), floor=at(IntVal(0), w)),
            *rises, takes, s.absent(w), evidence, same_counter, s.s_taken(e) == s.taken(w))

    # ---- who acts

    def _acting(self):
        s, n, x, c, u, r = self.s, self.n, self.x, self.c, self.u, self.r
        act, majority = self.system.action, self.majority
        # By store: the reply that counts, and what is known of the memory. `since`: all of them were sent since then.
        reply, known = Function('reply', Store, Request), Function('knows', Store, Knowledge)
        self.reply, self.since, self.from_ = reply, Real('sent_since'), Real('sent_from')
        since = self.since

        def answered(u, moment):
            begins = self.rule('a lease from the receipt', s.sent(reply(u)), s.executed(reply(u)))
            return And(s.done(reply(u)), s.by(reply(u)) == x, s.on(reply(u)) == u, begins >= moment)

        def old_enough(u, moment):
            k = known(u)
            mine = And(s.known(k), s.k_on(k) == u, s.k_generation(k) == s.r_generation(reply(u)))
            old = And(mine, s.k_born(k) + probation(x) <= moment)
            old = self.rule('each store old enough at its own send', old,
                            And(mine, s.k_born(k) + probation(x) <= s.sent(reply(u))))
            old = self.rule('age at execution', old,
                            s.birth(u, s.r_generation(reply(u))) + probation(x) <= s.executed(reply(u)))
            old = self.rule('one store old enough', old, Implies(u == shared(majority, majority), old))
            return self.rule('no wait', old, True)

        def backs(u):
            return And(answered(u, since), s.counts(reply(u)), s.r_claim_from(reply(u)) <= since, old_enough(u, since))
        other, newest = Const('other', Majority), Function('newest', Store, Request)
        by_another = And(s.now < self.from_ + tenure(x), z3.ForAll([u], Implies(of(other, u), And(
            s.done(newest(u)), s.by(newest(u)) == x, s.on(newest(u)) == u, s.sent(newest(u)) >= self.from_))))
        in_time = self.rule('a lease of another majority', s.now < since + tenure(x), by_another)
        goes_on = self.rule('elected after it gave up', Not(s.ended(x)), True)
        may = And(s.used(x), Not(s.elected(x)), goes_on, since <= s.now, in_time)
        self.elect = And(may, z3.ForAll([u], Implies(of(majority, u), backs(u))))
        starts = dict(elected=at(yes, x), leads=at(yes, x), since=at(since, x), began=at(s.now, x), elect_of=at(majority, x),
                      base=at(since, x), lease_of=at(majority, x), elect_by=None, lease_by=None)
        rest = [z3.ForAll([c, u], n.elect_by(c, u) == If(c == x, reply(u), s.elect_by(c, u))),
                z3.ForAll([c, u], n.lease_by(c, u) == If(c == x, reply(u), s.lease_by(c, u)))]
        act('is elected', starts, self.elect, *rest)
        shown_age = z3.ForAll([u], Implies(of(majority, u), And(
            answered(u, since), s.counts(reply(u)),
            s.birth(u, s.r_generation(reply(u))) + probation(x) <= s.executed(reply(u)))))
        self.elect_alone = And(may, alone, shown_age)
        act('is elected by the age in the reply of the only store', starts, self.elect_alone, *rest)
        acknowledged = lambda u: self.rule('a lease of one store', answered(u, self.from_), Implies(
            u == shared(majority, majority), answered(u, self.from_)))
        act('renews', dict(base=at(self.from_, x), lease_of=at(majority, x), lease_by=None),
            self.rule('renews after the end', acting(s, x), s.leads(x)), self.from_ > s.base(x),
            z3.ForAll([u], Implies(of(majority, u), acknowledged(u))),
            z3.ForAll([c, u], n.lease_by(c, u) == If(c == x, reply(u), s.lease_by(c, u))))
        act('its work has ended, or its claim is given up', dict(ended=at(yes, x), leads=at(no, x)), s.used(x))
