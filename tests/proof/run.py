"""The proof, from the command line. `tests/proof/run` does all of it, and what binds it to the code.

    run.py proof            every obligation with z3, and every state that must be possible
    run.py second           every obligation with cvc5
    run.py mutants          each mutant, at the obligation that must fail, or at all where none may
    run.py traces FOLDER    each file of the folder, a run of the simulator, as steps of the relation
    run.py cases FILE       what the shipped function does in small cases, as steps of the relation
    run.py starts FILE...   what the shipped candidate does in small states, as steps of the relation
    run.py search [TEXT]    each mutant with TEXT in its name, at every obligation: which of them fail (minutes)
"""
import functools
import multiprocessing
import pathlib
import sys
import time

from clocks import lemmas
from invariant import model
from mutants import MUTANTS
from system import in_invariant, obligations
from worlds import worlds

PATIENCE = 60_000
# What the second solver does not decide in this time it leaves to the first.
SECOND_PATIENCE = 10_000


@functools.cache
def obliged(mutant=None):
    return list(obligations(model(mutant))) + lemmas()


@functools.cache
def possible():
    one = model()
    steps = {f'the step: {name}': one.system.step(name) for name in one.system.actions}
    return list(in_invariant(one, steps | worlds(one)))


def proved(place):
    one = obliged()[place]
    return one.name, one.verdict(PATIENCE)


def shown(place):
    one = possible()[place]
    return one.name, one.verdict(PATIENCE)


def proved_again(place):
    import cvc5
    one = obliged()[place]
    solver = cvc5.Solver(cvc5.TermManager())
    solver.setOption('tlimit-per', str(SECOND_PATIENCE))
    parser = cvc5.InputParser(solver)
    parser.setStringInput(cvc5.InputLanguage.SMT_LIB_2_6, one.smt2(), one.name)
    answer = ''
    while not (command := parser.nextCommand()).isNull():
        answer += command.invoke(solver, parser.getSymbolManager())
    return one.name, answer.strip()


def noticed(name):
    """The obligation that the table names must fail for the mutant, or none where it names nothing."""
    named = MUTANTS[name].fails
    if named is None:
        return name, unnoticed(name)
    found = [one for one in obliged(name) if one.name == named]
    return name, found[0].verdict(PATIENCE) if found else f'no obligation is called {named!r}'


def unnoticed(name):
    """Those obligations are proved again that the mutant has changed; the others are the ones that were proved."""
    known = {one.name: one for one in obliged()}
    changed = [one for one in obliged(name) if not one.equals(known[one.name])]
    fails = [one.name for one in changed if one.verdict(PATIENCE) != 'unsat']
    return f'fails {fails[0]!r}' if fails else 'sat' if changed else 'changes nothing'


def all_noticed(name):
    verdicts = [(one.name, one.verdict(5_000)) for one in obliged(name)]
    fails = [one for one, verdict in verdicts if verdict == 'sat']
    unsure = [one for one, verdict in verdicts if verdict == 'unknown']
    return f'{name}: {len(fails)} fail, {len(unsure)} unsure: {fails[:4] or unsure[:4]}'


def processes():
    """What a solver has done before decides how long it searches, so each task, or chunk of them, has its own process."""
    return multiprocessing.get_context('fork').Pool(maxtasksperchild=1)


def check(title, work, tasks, wanted, tolerated=(), chunk=4):
    """Runs `work` on all tasks, on every processor, and says what did not come out as wanted."""
    began, wrong, open_ = time.monotonic(), [], 0
    with processes() as pool:
        for name, verdict in pool.imap_unordered(work, tasks, chunksize=chunk):
            open_ += verdict in tolerated
            if verdict != wanted and verdict not in tolerated:
                wrong.append(f'    {verdict}: {name}')
    left = f', {open_} left open' if open_ else ''
    print(f'{"FAILED" if wrong else "ok":6} {len(tasks)} {title}{left} ({time.monotonic() - began:.0f} s)', *wrong, sep='\n', flush=True)
    return not wrong


@functools.cache
def whole():
    return model()


def run_of(file):
    from concrete import Broken
    from traces import replayed
    try:
        return file.stem, replayed(whole(), file.read_text().splitlines(), file.stem)
    except Broken as broken:
        return file.stem, f'{broken}\n    replay: cargo run --example simulate -- --seed {file.stem}'


# What runs of the simulator need not show. It has one election, no foreign programs, no store that measures time itself,
# and no operator that forgets a record.
UNSEEN = {'a foreign program touches the counter', 'a foreign counter without a record is deposed',
          'a store that measures time itself counts it', 'another election deletes a record', 'another election changes hands',
          'a vacant record is forgotten',
          # A candidate that claims has seen the record, or heard of its release, unless that was deleted twice meanwhile.
          'a claim of an absent record is sent blindly', 'a join of an absent record is sent blindly',
          # It takes a deletion between the two.
          'a claim that the store is to number arrives twice',
          # Every claim and heartbeat lists its record: it takes a store that went back, and then loses that one.
          'an unlisted record alone is lost'}


def traces(files):
    began, wrong, steps, seen, outside = time.monotonic(), [], 0, set(), 0
    with multiprocessing.Pool() as pool:
        for name, found in pool.imap_unordered(run_of, files):
            if isinstance(found, str):
                wrong.append(f'    run {name}: {found}')
                continue
            steps, seen, outside = steps + found[0], seen | found[1], outside + (found[2] is not None)
    wrong += [f'    a step that no run has shown: {name}' for name in sorted(set(whole().system.actions) - seen - UNSEEN)]
    print(f'{"FAILED" if wrong else "ok":6} {len(files)} runs of the simulator, {steps} steps, {outside} of them left the '
          f'assumptions ({time.monotonic() - began:.0f} s)', *wrong, sep='\n')
    return not wrong


def small_cases(file):
    import cases
    began = time.monotonic()
    wrong, seen = cases.judge(whole(), cases.read(file))
    wrong += [f'    no case of: {step}' for step, count in seen.items() if not count]
    print(f'{"FAILED" if wrong else "ok":6} {sum(seen.values())} small cases of the record function '
          f'({time.monotonic() - began:.0f} s)', *wrong, sep='\n')
    return not wrong


# How many of the small states one process looks at together.
TOGETHER = 20_000


@functools.cache
def started(file):
    import starts
    return starts.read(file)


def start_of(task):
    import starts
    file, place = task
    names, numbers = started(file)
    one = starts.Start(whole(), names, numbers[place:place + TOGETHER]).judge()
    return int(one.inside.sum()), one.seen, one.wrong


def small_starts(files):
    """Each file is of another electorate. What it demands must occur in one of them."""
    began, wrong, inside, seen = time.monotonic(), [], 0, {}
    tasks = [(file, place) for file in files for place in range(0, len(started(file)[1]), TOGETHER)]
    with multiprocessing.Pool() as pool:
        for held, demanded, broken in pool.imap_unordered(start_of, tasks):
            inside, wrong = inside + held, wrong + broken
            for what, count in demanded.items():
                seen[what] = seen.get(what, 0) + count
    wrong += [f'    no state in which is to be judged: {what}' for what, count in seen.items() if not count]
    total = sum(len(started(file)[1]) for file in files)
    print(f'{"FAILED" if wrong else "ok":6} {inside} small steps of the candidate, of {total}: the others begin outside the '
          f'invariant ({time.monotonic() - began:.0f} s)', *wrong[:20], sep='\n')
    return not wrong


def main(words):
    # Made here for every process below: terms cannot be sent to one.
    count = lambda made: range(len(made()))
    match words:
        case ['proof']:
            return all([check('obligations proved by z3', proved, count(obliged), 'unsat'),
                        check('steps and states shown to be possible', shown, count(possible), 'sat')])
        case ['second']:
            return check('obligations proved by cvc5', proved_again, count(obliged), 'unsat', ('unknown',))
        case ['mutants']:
            unlisted = sorted(model().relation.met ^ set(MUTANTS))
            if unlisted:
                print(f'FAILED mutants and rules differ: {unlisted}')
            return check('broken rules noticed, or proved not to matter', noticed, list(MUTANTS), 'sat', chunk=1) and not unlisted
        case ['traces', folder]:
            return traces(sorted(pathlib.Path(folder).iterdir()))
        case ['cases', file]:
            return small_cases(file)
        case ['starts', *files]:
            return small_starts(files)
        case ['search', *text]:
            with processes() as pool:
                names = [name for name in sorted(model().relation.met) if all(word in name for word in text)]
                for line in pool.imap_unordered(all_noticed, names):
                    print(line, flush=True)
            return True
    sys.exit(__doc__)


if __name__ == '__main__':
    sys.exit(0 if main(sys.argv[1:]) else 1)
