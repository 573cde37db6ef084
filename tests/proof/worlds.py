"""States that must be possible, or the proof would be about nothing."""
from z3 import And, Const, Consts, ForAll, Implies, Not, Or

from relation import ABSENT, CLAIM, FOREIGN, HELD, JOIN, Candidate, Majority, Request, Store, acting, alone, meet, none, of, shape, tau

p, c = Consts('p c', Candidate)
a, b = Consts('a b', Store)
one, two = Consts('one two', Majority)


def worlds(model):
    relation, s = model.relation, model.system.before
    r = relation.r
    several = And(ForAll([one, two], meet(one, two)), a != b, Not(alone))
    reply, majority = relation.reply, relation.majority
    u = Const('u', Store)
    at_once = ForAll([u], Implies(of(majority, u), And(
        s.sent(reply(u)) == s.now, s.kind(reply(u)) == CLAIM, s.x_shape(reply(u)) == ABSENT)))
    forgotten = s.r_generation(s.lease_by(p, a)) < s.generation(a)
    return {
        'one acts, and another waits on a store that forgot the first': And(
            several, acting(s, p), of(s.lease_of(p), a), forgotten, s.holder(a) == c, c != p, s.has(a), s.age(a) > 0,
            Not(s.ended(c))),
        'one is elected in one round trip on absent records of several stores': And(
            several, relation.elect, at_once, of(majority, a), of(majority, b)),
        'one is elected in one round trip by the only store, which numbers its term': And(
            relation.elect_alone, at_once, ForAll([u], Implies(of(majority, u), s.numbered(reply(u)))), of(majority, a)),
        'one acts by a join in one of its stores': And(
            several, acting(s, p), of(s.lease_of(p), a), s.kind(s.lease_by(p, a)) == JOIN, Not(of(s.elect_of(p), a))),
        'one acts by what a store granted before it looked whether it was restarted': And(
            several, acting(s, p), of(s.lease_of(p), a), Not(s.looks(s.lease_by(p, a))), Not(s.has(a))),
        'a claim is on its way that was sent to an earlier memory': And(
            s.issued(r), s.kind(r) == CLAIM, Not(s.done(r)), s.x_generation(r) < s.generation(s.on(r)), s.has(s.on(r))),
        'two were elected one after the other, and the record deleted between them': And(
            several, s.elected(c), s.ended(c), acting(s, p), p != c, of(s.elect_of(c), a), of(s.elect_of(p), a),
            s.r_generation(s.elect_by(c, a)) == s.r_generation(s.elect_by(p, a)), s.memory_floor(a) >= s.term(c)),
        'one acts that acted at an earlier moment': And(several, acting(s, p), s.began(p) < tau, tau < s.now),
        'one acts while a foreign program has changed its counter': And(
            acting(s, p), s.holder(a) == p, shape(s, a) == FOREIGN, of(s.lease_of(p), a)),
        'one acts while the election is paused': And(acting(s, p), s.paused(a), of(s.lease_of(p), a)),
        'a window is shorter than a tenure of somebody else': relation_windows(),
    }


def relation_windows():
    from relation import tenure, window
    return window(p) < tenure(c)
