"""What holds in every state. `docs/proof.md` says why each clause is needed.

The two statements that matter, S1 and S2, are not clauses. They follow from the clauses at the moment of an election,
which is the only step that makes anybody act.
"""
from types import SimpleNamespace

from z3 import And, Const, Consts, ForAll, If, Implies, Not, Or

from relation import ABSENT, BEAT, CLAIM, FOREIGN, FOREIGN_ALONE, HELD, JOIN, Candidate, Knowledge, Relation, Request, Sight, Store, \
    Word, acting, alone, floors, is_free, meet, none, of, probation, shape, tau, tenure, window

c = Const('c', Candidate)
r, q = Consts('r q', Request)
e, m, k, u = Const('e', Sight), Const('m', Word), Const('k', Knowledge), Const('u', Store)


def clauses(s):
    by, on, done, sent = s.by, s.on, s.done, s.sent

    def over(r, moment):
        """Who sent `r` does not act at `moment`, or later, by what it was granted then."""
        return Or(s.ended(by(r)), sent(r) + tenure(by(r)) <= moment)

    def current(r):
        """A claim or join that expects what the store's memory of today has shown."""
        return And(s.issued(r), s.kind(r) != BEAT, s.x_generation(r) == s.generation(on(r)))

    def backs(c, r, u):
        return And(done(r), by(r) == c, on(r) == u)

    def is_old(r):
        return s.r_generation(r) < s.generation(on(r))

    def born(u):
        return s.birth(u, s.generation(u))

    def base_clock(u):
        return s.lost_clock(u, s.generation(u))

    def moment(c, u):
        """By when a memory that elected was as old as a probation: for the only store, when it granted."""
        return If(alone, s.executed(s.elect_by(c, u)), s.since(c))

    pair = And(done(r), done(q), on(r) == on(q))
    return {
        # -- stores
        'times': ForAll([u], And(
            s.lost(u) <= s.last_take(u), s.last_take(u) <= s.now, s.lost(u) <= s.written(u), s.written(u) <= s.now,
            Implies(s.holder(u) != none, s.last_take(u) <= s.written(u)),
            s.claim_from(u) <= s.now, base_clock(u) <= s.clock(u))),
        'memory': ForAll([u], Implies(s.has(u), And(
            s.lost(u) <= born(u), born(u) <= s.now, s.age(u) <= s.now - born(u)))),
        'record': ForAll([u], And(
            Implies(s.absent(u), s.holder(u) == none), Implies(s.holder(u) != none, s.used(s.holder(u))))),
        # -- knowledge
        'words': ForAll([m], Implies(s.told(m), And(
            s.w_generation(m) <= s.generation(s.w_on(m)),
            Implies(s.w_generation(m) == s.generation(s.w_on(m)), s.has(s.w_on(m))),
            s.w_age(m) <= s.now - s.birth(s.w_on(m), s.w_generation(m))))),
        'knowledge': ForAll([k], Implies(s.known(k), And(
            s.k_generation(k) <= s.generation(s.k_on(k)),
            Implies(s.k_generation(k) == s.generation(s.k_on(k)), s.has(s.k_on(k))),
            s.birth(s.k_on(k), s.k_generation(k)) <= s.k_born(k)))),
        'sights': ForAll([e], Implies(s.shown(e), And(
            s.s_generation(e) <= s.generation(s.s_on(e)), s.s_shape(e) >= ABSENT, s.s_shape(e) <= FOREIGN_ALONE,
            s.lost_clock(s.s_on(e), s.s_generation(e)) <= s.s_clock(e),
            Implies(s.s_generation(e) == s.generation(s.s_on(e)), And(
                s.has(s.s_on(e)), s.s_mark(e) <= s.mark(s.s_on(e)), s.s_taken(e) <= s.taken(s.s_on(e)),
                Implies(And(s.s_mark(e) == s.mark(s.s_on(e))), s.s_holder(e) == s.holder(s.s_on(e)))))))),
        'sights in time': ForAll([e], Implies(s.received(e), And(
            s.shown(e), s.s_at(e) <= s.now,
            Implies(s.s_generation(e) == s.generation(s.s_on(e)), And(
                Implies(s.s_mark(e) == s.mark(s.s_on(e)), And(
                    s.last_take(s.s_on(e)) <= s.s_at(e),
                    Implies(s.holder(s.s_on(e)) != none, s.written(s.s_on(e)) <= s.s_at(e)))),
                Implies(s.s_taken(e) == s.taken(s.s_on(e)), s.last_take(s.s_on(e)) <= s.s_at(e))))))),
        # -- requests
        'requests': ForAll([r], And(
            Implies(s.issued(r), And(sent(r) <= s.now, by(r) != none, s.used(by(r)), s.kind(r) >= BEAT, s.kind(r) <= JOIN,
                                     Implies(s.numbered(r), And(alone, s.kind(r) == CLAIM)))),
            Implies(done(r), s.issued(r)),
            Implies(And(s.issued(r), s.kind(r) != BEAT), And(s.x_shape(r) >= ABSENT, s.x_shape(r) <= FOREIGN_ALONE)))),
        'expectations': ForAll([r], Implies(And(s.issued(r), s.kind(r) != BEAT, Not(And(s.numbered(r), s.x_shape(r) == ABSENT))), And(
            s.x_generation(r) <= s.generation(on(r)),
            Implies(s.x_generation(r) == s.generation(on(r)), s.has(on(r))),
            Implies(And(s.kind(r) == CLAIM, Not(s.numbered(r))), s.lost_clock(on(r), s.x_generation(r)) <= s.term(by(r)))))),
        'marks': ForAll([r], Implies(And(current(r), s.x_shape(r) != ABSENT, s.x_shape(r) != FOREIGN_ALONE), And(
            s.x_mark(r) <= s.mark(on(r)),
            Implies(s.x_mark(r) == s.mark(on(r)), And(
                s.last_take(on(r)) <= sent(r),
                Implies(s.holder(on(r)) != none, s.written(on(r)) + window(s.holder(on(r))) <= sent(r))))))),
        'absences': ForAll([r], Implies(
            And(current(r), Not(s.numbered(r)), Or(s.x_shape(r) == ABSENT, s.x_shape(r) == FOREIGN_ALONE)), And(
                s.x_taken(r) <= s.taken(on(r)),
                Implies(s.x_taken(r) == s.taken(on(r)), s.last_take(on(r)) <= sent(r))))),
        # -- what was granted
        'grants': ForAll([r], Implies(done(r), And(
            s.r_generation(r) <= s.generation(on(r)), sent(r) <= s.executed(r), s.executed(r) <= s.now,
            s.r_claim_from(r) <= s.executed(r), s.place(r) < s.grants(on(r)),
            Implies(is_old(r), s.executed(r) <= s.lost(on(r))),
            Implies(And(s.counts(r), Not(is_old(r))), s.has(on(r))),
            Implies(by(r) == s.holder(on(r)), sent(r) <= s.written(on(r)))))),
        'who lost a store is over': ForAll([r], Implies(And(done(r), by(r) != s.holder(on(r)), Not(is_old(r))), And(
            over(r, s.last_take(on(r))), Implies(s.holder(on(r)) != none, over(r, s.claim_from(on(r))))))),
        'order': ForAll([r, q], Implies(pair, And(
            Implies(s.place(r) == s.place(q), r == q),
            Implies(s.place(r) < s.place(q), And(
                s.r_generation(r) <= s.r_generation(q), s.executed(r) <= s.executed(q),
                Implies(And(s.r_generation(r) < s.r_generation(q), s.counts(q)),
                        s.executed(r) <= s.birth(on(q), s.r_generation(q)))))))),
        'who came before is over': ForAll([r, q], Implies(
            And(pair, by(r) != by(q), s.place(r) < s.place(q), s.counts(q)),
            Or(over(r, s.r_claim_from(q)), s.r_generation(r) < s.r_generation(q)))),
        # -- who acts
        'elected': ForAll([c], Implies(s.elected(c), And(
            s.used(c), s.since(c) <= s.began(c), s.began(c) < s.since(c) + tenure(c), s.began(c) <= s.now))),
        'elected by': ForAll([c, u], Implies(And(s.elected(c), of(s.elect_of(c), u)), And(
            backs(c, s.elect_by(c, u), u), s.counts(s.elect_by(c, u)), sent(s.elect_by(c, u)) >= s.since(c),
            s.r_claim_from(s.elect_by(c, u)) <= moment(c, u),
            s.birth(u, s.r_generation(s.elect_by(c, u))) + probation(c) <= moment(c, u)))),
        'lease': ForAll([c], Implies(s.leads(c), And(s.elected(c), Not(s.ended(c))))),
        'lease by': ForAll([c, u], Implies(And(s.leads(c), of(s.lease_of(c), u)), And(
            backs(c, s.lease_by(c, u), u), sent(s.lease_by(c, u)) >= s.base(c)))),
        'at any moment': ForAll([c, u], Implies(
            And(acting(s, c), s.began(c) < tau, tau <= s.now, of(s.past_of(c), u)), And(
                backs(c, s.past_by(c, u), u), s.executed(s.past_by(c, u)) < tau,
                tau < sent(s.past_by(c, u)) + tenure(c)))),
        'nobody': And(Not(s.used(none)), Not(s.leads(none))),
        # -- terms
        'floors': ForAll([r], Implies(And(done(r), s.counts(r)), Or(
            And(Not(is_old(r)), s.term(by(r)) <= floors(s, on(r))),
            And(is_old(r), Or(s.term(by(r)) < base_clock(on(r)), s.term(by(r)) <= floors(s, on(r))))))),
        'unlisted records': ForAll([r], Implies(
            And(done(r), Not(s.listed(on(r))), s.holder(on(r)) != none), is_old(r))),
        'listed floors': ForAll([r], Implies(And(done(r), s.counts(r)), Or(
            And(is_old(r), s.term(by(r)) < base_clock(on(r))),
            s.term(by(r)) <= s.memory_floor(on(r)),
            And(s.listed(on(r)), s.term(by(r)) <= s.listed_floor(on(r)))))),
        'terms that count': ForAll([r], Implies(And(done(r), s.counts(r)), s.term(by(r)) >= s.lost_clock(on(r), s.r_generation(r)))),
        'a claimed hold has the highest term': ForAll([u, r], Implies(
            And(s.holder(u) != none, Not(s.joined(u))), And(
                s.has(u), s.term(s.holder(u)) >= base_clock(u), s.term(s.holder(u)) <= floors(s, u),
                Implies(And(done(r), s.counts(r), on(r) == u, by(r) != s.holder(u)), s.term(by(r)) < s.term(s.holder(u)))))),
        'terms rise in a store': ForAll([r, q], Implies(
            And(pair, by(r) != by(q), s.place(r) < s.place(q), s.counts(r), s.counts(q)), s.term(by(r)) < s.term(by(q)))),
    }


def start(s):
    """Stores that were never used, or whose memory is there and was there for as long as it says."""
    return And(
        ForAll([u], And(
            s.generation(u) == 0, s.lost(u) <= s.birth(u, 0), s.lost(u) <= s.now, s.lost_clock(u, 0) <= s.clock(u),
            Implies(s.has(u), And(s.birth(u, 0) <= s.now, s.age(u) <= s.now - s.birth(u, 0))),
            s.last_take(u) == s.now, s.written(u) == s.now, s.claim_from(u) == s.now, s.joined(u), Not(s.listed(u)), s.absent(u),
            s.holder(u) == none)),
        ForAll([c], And(*[Not(field(c)) for field in (s.used, s.ended, s.elected, s.leads)])),
        ForAll([r], And(Not(s.issued(r)), Not(s.done(r)))), ForAll([e], And(Not(s.shown(e)), Not(s.received(e)))),
        ForAll([m], Not(s.told(m))), ForAll([k], Not(s.known(k))))


def model(mutant=None):
    relation = Relation(mutant)
    s, n, x, system = relation.s, relation.n, relation.x, relation.system
    other = Const('another', Candidate)
    u = Const('at', Store)
    share = relation.rule('majorities that share no store', And(*[
        meet(majority, relation.majority) for majority in (s.lease_of(other), s.elect_of(other), s.past_of(other))]), True)
    meeting = shared_store(s, other, relation)
    goals = {}
    for title, elect, moment in (
            ('', relation.elect, relation.since),
            (', by the age in the reply of one store', relation.elect_alone, s.executed(relation.reply(meeting)))):
        hypotheses = And(elect, tau == moment, share, other != x)
        goals[f'S1: no one else acts when one is elected{title}'] = (hypotheses, Not(acting(s, other)))
        goals[f'S2: no one elected before has its term or a higher one{title}'] = (
            And(hypotheses, s.elected(other)), s.term(other) < s.term(x))
    elections = [name for name in system.actions if name.startswith('is elected')]
    goals['S1 is kept: nothing else makes anybody act'] = (
        system.any_step_but(*elections), ForAll([c], Implies(acting(n, c), acting(s, c))))
    goals['S2 is kept: nothing changes the term of one who was elected'] = (
        Or(*[system.step(name) for name in system.actions]), ForAll([c], Implies(s.elected(c), n.term(c) == s.term(c))))
    return SimpleNamespace(system=system, relation=relation, invariant=clauses, start=start(s), goals=goals)


def shared_store(s, other, relation):
    from relation import shared
    return shared(s.lease_of(other), relation.majority)
