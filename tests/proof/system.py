"""States as functions, actions as relations between two states, and obligations for a solver.

A state is one function per field: `holder : Store -> Candidate`. An action has a guard on the state before, and
says which fields it changes; all others stay as they are. Nothing here knows the protocol.
"""
from types import SimpleNamespace
import z3


class System:
    def __init__(self, fields):
        """`fields`: name -> (sorts of the arguments..., sort of the value)."""
        self.fields = fields
        self.before, self.after = self._state(''), self._state('_next')
        self.axioms, self.actions, self.parts = [], {}, {}

    def _state(self, mark):
        made = {}
        for name, sorts in self.fields.items():
            make = z3.Const if len(sorts) == 1 else z3.Function
            made[name] = make(name + mark, *sorts)
        return SimpleNamespace(**made)

    def _places(self, name):
        return [z3.Const(f'{sort}{i}', sort) for i, sort in enumerate(self.fields[name][:-1])]

    def _becomes(self, name, changes):
        """The function after is the one before, but at each of the places in `changes`."""
        here, old = self._places(name), getattr(self.before, name)
        new = old(*here)
        for place, value in changes:
            new = z3.If(z3.And(*[a == b for a, b in zip(here, place)]), value, new)
        return z3.ForAll(here, getattr(self.after, name)(*here) == new)

    def only_at(self, name, *place):
        """The field may become anything at `place`, and stays as it is elsewhere."""
        here = self._places(name)
        elsewhere = z3.Not(z3.And(*[a == b for a, b in zip(here, place)]))
        old, new = getattr(self.before, name), getattr(self.after, name)
        return z3.ForAll(here, z3.Implies(elsewhere, new(*here) == old(*here)))

    def action(self, name, changes, *guards):
        """`changes`: field -> its new value; for a function a list of (place, value); `None` for anything that the
        guards allow."""
        effects = []
        for field, value in changes.items():
            if isinstance(value, list):
                effects.append(self._becomes(field, value))
            elif value is not None:
                effects.append(getattr(self.after, field) == value)
        for field in self.fields:
            if field in changes:
                continue
            here, old, new = self._places(field), getattr(self.before, field), getattr(self.after, field)
            effects.append(z3.ForAll(here, new(*here) == old(*here)) if here else new == old)
        assert name not in self.actions, name
        self.parts[name] = (changes, guards)
        self.actions[name] = (z3.And(*guards), z3.And(*effects))

    def step(self, name):
        return z3.And(*self.actions[name])

    def any_step_but(self, *names):
        return z3.Or(*[self.step(name) for name in self.actions if name not in names])


class Obligation:
    """Formulas that no state may satisfy: some hypotheses, and the negation of what follows from them."""

    def __init__(self, action, clause, formulas):
        self.action, self.clause, self.formulas = action, clause, formulas

    @property
    def name(self):
        return f'{self.action} / {self.clause}'

    def solver(self, milliseconds):
        solver = z3.Solver()
        solver.set('timeout', milliseconds)
        solver.add(*self.formulas)
        return solver

    def verdict(self, milliseconds):
        """'unsat' is what we want: no state is a counterexample. 'sat', or 'unknown' after so long."""
        return str(self.solver(milliseconds).check())

    def equals(self, other):
        return len(self.formulas) == len(other.formulas) and all(a.eq(b) for a, b in zip(self.formulas, other.formulas))

    def smt2(self):
        """The obligation in the solvers' common language. The logic is named: others than z3 want to know it."""
        return '(set-logic ALL)\n' + self.solver(0).to_smt2()


def obligations(model):
    """Every obligation of a model: it holds at the start, each action keeps each clause, and the goals follow."""
    system = model.system
    now, then = model.invariant(system.before), model.invariant(system.after)
    for name, (hypotheses, goal) in model.goals.items():
        yield Obligation('goal', name, [*system.axioms, *now.values(), hypotheses, z3.Not(goal)])
    for clause, goal in now.items():
        yield Obligation('the start', clause, [*system.axioms, model.start, z3.Not(goal)])
    for name in system.actions:
        for clause, goal in then.items():
            yield Obligation(name, clause, [*system.axioms, *now.values(), system.step(name), z3.Not(goal)])


def in_invariant(model, formulas):
    """Some state of the invariant must satisfy each of the formulas: here 'sat' is what we want."""
    now = model.invariant(model.system.before).values()
    for name, formula in formulas.items():
        yield Obligation('possible', name, [*model.system.axioms, *now, formula])
