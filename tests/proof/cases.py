"""Every case of a small domain: the shipped `apply` grants what the relation allows, and leaves the same behind.

`examples/cases.rs` prints the cases. All of them are judged at once: each is a store of its own.
"""
import numpy as np
import z3

from concrete import compiled, every, some
from relation import ABSENT, AHEAD, BEAT, CLAIM, FOREIGN, FOREIGN_ALONE, JOIN, VACANT

FRESH = 9
# What the numbers of `kind` mean, as the steps of the relation.
STEPS = {1: 'a claim is granted', 2: 'a claim is granted', 3: 'a join is granted', 4: 'a heartbeat is granted',
         5: 'a release is executed', 6: 'a release deletes the record', 10: 'what stalled is deposed',
         11: 'a vacant record is forgotten'}
# A candidate is an id and a term, as one number.
TERMS = 10**9


def abstract(case, after=''):
    """The store's part of a state of the relation, as `traces.py` has it."""
    get = lambda name: case[name + after]
    memory, missing = get('memory') != 0, get('floor') == 0
    lost = memory & (get('listed') >= 0) & missing & (after == '')
    believed = np.where(lost & (get('listed') <= case['clock'] + AHEAD), get('listed'), 0)
    foreign = get('shape') == 3
    absent = (get('shape') == 0) | (foreign & missing & (get('term') == 0))
    return dict(
        has=memory & (get('restarted') == 0) & ~lost, age=np.where(lost | ~memory, 0, get('age')),
        generation=get('memory'), memory_floor=np.maximum(get('memory_floor'), believed), taken=get('taken'),
        listed=(get('listed') >= 0) & ~lost, listed_floor=np.maximum(get('listed'), 0), absent=absent, foreign=foreign,
        counter=get('counter'), holder=np.where(get('holder') > 0, get('holder') * TERMS + get('term'), 0),
        mark=2 * get('beat') + (get('shape') == 1), floor=get('floor'), paused=get('paused') != 0)


def looked(state, case):
    """The store after it has looked: where it has no memory that it can trust, a new one of age zero."""
    new = ~state['has']
    return state | dict(has=np.ones_like(new), generation=np.where(new, FRESH, state['generation']),
                        age=np.where(new, 0, state['age']))


def judge(model, case):
    """Returns what differs, and how many cases there are of each step."""
    count = len(case['kind'])
    rows, wrong, seen = np.arange(count), [], {}
    before, after = abstract(case), abstract(case, '_after')
    granted, kind = case['granted'] != 0, case['kind']
    # A release does not look, nor does a heartbeat that is granted and attests nothing; without any memory all do.
    mine = (case['shape'] == 2) & (case['holder'] == case['who']) & (case['term'] == case['asked'])
    passes = np.isin(kind, (5, 6)) | ((kind == 4) & (case['attests'] == 0) & mine)
    lost = (case['listed'] >= 0) & (case['floor'] == 0)
    looks = ~passes | (case['memory'] == 0) | lost
    seen_by = looked(before, case)
    start = {name: np.where(looks, seen_by[name], before[name]) for name in before}
    attested = granted & np.isin(kind, (1, 2, 3, 4)) & (case['attests'] == start['generation']) & start['has'] & (case['attests'] != 0)
    start['age'] = np.where(attested, np.maximum(start['age'], case['attested']), start['age'])

    x = np.where(np.isin(kind, (1, 2, 3, 4, 5, 6)), case['who'] * TERMS + np.where((kind == 2) & granted, case['term_after'], case['asked']), 0)
    # What a sole store would number, where it refuses: any term that is high enough.
    enough = np.maximum(np.maximum(start['floor'], start['memory_floor']) + 1, case['clock'])
    x = np.where((kind == 2) & ~granted, case['who'] * TERMS + np.minimum(np.maximum(enough, case['asked']), TERMS - 1), x)
    everyone = np.unique(np.concatenate([[0], x, start['holder'], after['holder']]))
    x = np.searchsorted(everyone, x)
    start['holder'], after['holder'] = [np.searchsorted(everyone, state['holder']) for state in (start, after)]
    x_shape = np.where((case['x_shape'] == 3) & start['absent'], FOREIGN_ALONE, case['x_shape'])
    x_taken = np.where(x_shape == FOREIGN_ALONE, case['x_beat'], case['x_taken'])
    yes, no, zero = np.ones(count, bool), np.zeros(count, bool), np.zeros(count, np.int64)
    values = start | dict(
        clock=case['clock'], now=np.int64(0), none=0, w=rows, r=rows, e=rows, x=x, term=everyone % TERMS, alone=kind == 2,
        joined=no, claim_from=zero, last_take=zero, grants=zero, elected=np.zeros(len(everyone), bool), ended=np.ones(len(everyone), bool),
        window=np.zeros(len(everyone), np.int64), issued=yes, done=no, by=x, on=rows, sent=zero, numbered=kind == 2,
        kind=np.select([np.isin(kind, (1, 2)), kind == 3], [CLAIM, JOIN], BEAT), looks=(kind != 4) | (case['attests'] != 0),
        x_generation=case['x_memory'], x_shape=x_shape, x_mark=2 * case['x_beat'] + (case['x_shape'] == 1), x_taken=x_taken,
        x_counter=case['x_counter'], received=yes, s_on=rows, s_generation=case['x_memory'], s_shape=x_shape,
        s_mark=2 * case['x_beat'] + (case['x_shape'] == 1), s_counter=case['x_counter'], s_taken=x_taken, s_at=zero, s_holder=zero)
    values |= {f'{name}_next': array for name, array in after.items()}
    # An absent record keeps the mark that it had: nothing is compared with it.
    values['mark_next'] = np.where(after['absent'], start['mark'] + 1, after['mark'])

    def evaluate(formula):
        return np.broadcast_to(compiled(formula).code(values, {}, every, some), count)

    may_be = {}
    for step in {*STEPS.values(), 'a foreign counter without a record is deposed'}:
        changes, guards = model.system.parts[step]
        may = yes.copy()
        for guard in guards:
            if not z3.is_quantifier(guard):
                names = compiled(guard).names
                # What rises is looked at below, where something was granted.
                if not any(name.endswith('_next') for name in names):
                    may &= evaluate(guard)
        may_be[step] = may
    steps = {number: may_be[step] for number, step in STEPS.items()}
    steps[10] = may_be['what stalled is deposed'] | may_be['a foreign counter without a record is deposed']
    same_term = (case['x_term'] == case['term']) | (x_shape == ABSENT)
    # A mark holds more than its beat and its memory.
    same_term &= (x_shape != ABSENT) | (case['x_beat'] == 0) & (case['x_term'] == 0) | (kind == 2)
    expected = np.select([kind == number for number in steps], list(steps.values()), False)
    expected &= ~np.isin(kind, (1, 2, 3, 10)) | same_term
    told = np.isin(kind, list(steps))
    free_forget = (kind == 11) & start['absent'] & ~start['foreign']
    # What an order to forget must expect, the relation leaves open: it may only refuse more.
    differs = told & ~free_forget & (granted != expected) & (granted | (kind != 11))
    report(wrong, 'granted or refused against the relation', differs, case)

    deletes = (kind == 6) & granted & (case['shape_after'] == 0)
    taken_by = {number: granted & (kind == number) for number in steps}
    taken_by[5] |= taken_by[6] & ~deletes
    taken_by[6] &= deletes
    alone = taken_by[10] & start['absent']
    taken_by[10] &= ~start['absent']
    taken_by[11] &= ~free_forget
    for number, chosen in [*taken_by.items(), (12, alone)]:
        step = STEPS.get(number, 'a foreign counter without a record is deposed')
        changes, guards = model.system.parts[step]
        seen[step] = seen.get(step, 0) + int(chosen.sum())
        left = dict(start)
        for field, change in changes.items():
            if field not in left:
                continue
            left[field] = values[f'{field}_next'] if change is None else evaluate(change[0][1])
        for guard in guards:
            if not z3.is_quantifier(guard) and any(name.endswith('_next') for name in compiled(guard).names):
                report(wrong, f'{step}: not {guard}', chosen & ~evaluate(guard), case)
        compare(wrong, step, chosen, left, after, case)
    nothing = ~np.any(list(taken_by.values()) + [alone], axis=0)
    left = dict(start, paused=np.select([granted & (kind == 7), granted & (kind == 8)], [True, False], start['paused']))
    compare(wrong, 'nothing but an order', nothing, left, after, case)
    seen['refused, observed or ordered'] = int(nothing.sum())
    return wrong, seen


def compare(wrong, step, chosen, left, after, case):
    for field in after:
        differs = chosen & (left[field] != after[field])
        if field in ('floor', 'mark'):
            differs &= ~after['absent']
        if field == 'listed_floor':
            differs &= after['listed']
        if field in ('age', 'generation'):
            differs &= after['has']
        if field == 'holder':
            differs &= ~after['foreign']
        if field == 'counter':
            differs &= after['foreign']
        report(wrong, f'{step}: {field}', differs, case)


def report(wrong, what, differs, case):
    if differs.any():
        first = int(np.flatnonzero(differs)[0])
        example = ' '.join(f'{name}={values[first]}' for name, values in case.items())
        wrong.append(f'    {what}: {int(differs.sum())} cases, such as\n      {example}')


def read(path):
    with open(path) as lines:
        names = lines.readline().split()
        numbers = np.fromstring(lines.read(), dtype=np.int64, sep=' ').reshape(-1, len(names))
    return {name: numbers[:, place].copy() for place, name in enumerate(names)}
