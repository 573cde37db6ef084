"""Evaluates the relation and the invariant on one given state: the same formulas that the solvers see.

A state is one array per field, indexed by the number of the element. A formula becomes an expression over arrays; a
quantifier becomes an axis.
"""
import functools

import numpy as np
import z3

OPERATORS = {z3.Z3_OP_LE: '<=', z3.Z3_OP_LT: '<', z3.Z3_OP_GE: '>=', z3.Z3_OP_GT: '>', z3.Z3_OP_ADD: '+',
             z3.Z3_OP_SUB: '-', z3.Z3_OP_MUL: '*', z3.Z3_OP_AND: '&', z3.Z3_OP_OR: '|', z3.Z3_OP_EQ: '=='}


def depth(formula):
    """How many quantified variables are in scope at most."""
    if z3.is_quantifier(formula):
        return formula.num_vars() + depth(formula.body())
    return max([depth(part) for part in formula.children()], default=0)


class Compiler:
    """`many`: the formula is evaluated on many states at once, which are the first axis of each array."""

    def __init__(self, formula, many=False):
        self.axes, self.names, self.scope, self.many = depth(formula), set(), [], int(many)
        self.text = self.write(formula)
        self.code = eval(f'lambda v, size, every, any_: {self.text}', {
            'np': np, 'every': every, 'some': some, 'axis': axis, 'whole': whole})

    def write(self, formula):
        if z3.is_quantifier(formula):
            count, outer = formula.num_vars(), list(self.scope)
            first = len(self.scope)
            for i in range(count):
                place, axes = first + i + self.many, self.axes + self.many
                self.scope.append(f'axis(size[{str(formula.var_sort(i))!r}], {place}, {axes})')
            body = self.write(formula.body())
            self.scope = outer
            over = tuple(range(first + self.many, first + count + self.many))
            return f'{"every" if formula.is_forall() else "some"}({body}, {over})'
        if z3.is_var(formula):
            return self.scope[-1 - z3.get_var_index(formula)]
        if z3.is_int_value(formula) or z3.is_rational_value(formula):
            return f'({int(str(formula))})'
        kind, parts = formula.decl().kind(), [self.write(part) for part in formula.children()]
        if kind == z3.Z3_OP_TRUE or kind == z3.Z3_OP_FALSE:
            return f'np.bool_({kind == z3.Z3_OP_TRUE})'
        if kind in OPERATORS:
            return '(' + f' {OPERATORS[kind]} '.join(parts) + ')'
        if kind == z3.Z3_OP_NOT:
            return f'(~{parts[0]})'
        if kind == z3.Z3_OP_IMPLIES:
            return f'(~{parts[0]} | {parts[1]})'
        if kind == z3.Z3_OP_DISTINCT:
            return f'({parts[0]} != {parts[1]})'
        if kind == z3.Z3_OP_ITE:
            return f'np.where({", ".join(parts)})'
        if kind == z3.Z3_OP_TO_REAL:
            return parts[0]
        assert kind == z3.Z3_OP_UNINTERPRETED, formula
        name = formula.decl().name()
        self.names.add(name)
        if self.many and not parts:
            return f'whole(v[{name!r}], {self.axes})'
        if self.many:
            parts.insert(0, f'whole(v["states"], {self.axes})')
        return f'v[{name!r}][{", ".join(parts)}]' if parts else f'v[{name!r}]'


def axis(size, place, axes):
    return np.arange(size).reshape([-1 if i == place else 1 for i in range(axes)])


def whole(values, axes):
    """A value for each of many states."""
    return np.reshape(values, (-1,) + (1,) * axes)


def every(value, axes):
    value = np.asarray(value)
    return value.all(axis=axes, keepdims=True) if value.ndim else value


def some(value, axes):
    value = np.asarray(value)
    return value.any(axis=axes, keepdims=True) if value.ndim else value


@functools.cache
def compiled(formula, many=False):
    return Compiler(formula, many)


class Broken(Exception):
    """A step is none of the relation, or a state is outside the invariant."""


class World:
    """A state with finitely many of everything, and the values that never change."""

    ROOM = 8

    def __init__(self, model, sizes, constants):
        self.model, self.system = model, model.system
        self.size = {name: self.ROOM for name in ('Candidate', 'Request', 'Sight', 'Word', 'Knowledge')} | sizes
        self.used = {'Candidate': 1, 'Request': 0, 'Sight': 0, 'Word': 0, 'Knowledge': 0}
        self.constants = constants
        self.state = {name: self._blank(sorts) for name, sorts in self.system.fields.items()}
        self.clauses = {name: compiled(clause) for name, clause in model.invariant(self.system.before).items()}
        self.axioms = [compiled(axiom) for axiom in self.system.axioms]

    def _blank(self, sorts):
        kind = bool if sorts[-1] == z3.BoolSort() else np.int64
        return np.zeros([self._length(sort) for sort in sorts[:-1]], kind)

    def _length(self, sort):
        return self.size['generation' if sort == z3.IntSort() else str(sort)]

    def new(self, sort):
        """The number of an element that was not used before."""
        number = self.used[sort]
        self.used[sort] += 1
        if number >= self.size[sort]:
            self.size[sort] *= 2
            for name, sorts in self.system.fields.items():
                if sort in [str(one) for one in sorts[:-1]]:
                    larger = self._blank(sorts)
                    old = self.state[name]
                    larger[tuple(slice(0, length) for length in old.shape)] = old
                    self.state[name] = larger
        return number

    def holds(self, formula, values):
        code = compiled(formula)
        return bool(np.all(code.code(values, self.size, every, some)))

    def value(self, formula, values):
        return np.asarray(compiled(formula).code(values, self.size, every, some)).reshape(-1)[0]

    def step(self, action, free=None, **places):
        """Does one step of the relation. `free` gives the values that the relation leaves open."""
        changes, guards = self.system.parts[action]
        values = self.constants | self.state | places
        after = dict(self.state)
        for field, change in changes.items():
            if change is None:
                after[field] = after[field].copy()
                for place, value in (free or {}).get(field, []):
                    after[field][place] = value
        values |= {f'{field}_next': array for field, array in after.items()}
        for field, change in changes.items():
            if change is None:
                continue
            if not isinstance(change, list):
                after[field] = np.asarray(self.value(change, values))
                continue
            after[field] = after[field].copy()
            for place, value in change:
                where = tuple(self.value(part, values) for part in place)
                after[field][where] = self.value(value, values)
        values |= {f'{field}_next': array for field, array in after.items()}
        for guard in guards:
            if not self.holds(guard, values):
                raise Broken(f'no step of the relation: {action}\n  with {places}\n  because not {guard}')
        self.state = after
        return set(changes)

    def judge(self, changed=None):
        """Evaluates each clause of the invariant that reads one of the fields."""
        values = self.constants | self.state
        for name, clause in self.clauses.items():
            if changed is not None and not clause.names & changed:
                continue
            if not np.all(clause.code(values, self.size, every, some)):
                raise Broken(f'outside the invariant: {name}')
