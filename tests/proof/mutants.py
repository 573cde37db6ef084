"""The rules of the protocol, each broken once in the relation, and an obligation that fails then: `mutants.txt`.

`examples/mutants` breaks the same rules in the code; `docs/mutants.md` has both.
"""
import pathlib
from collections import namedtuple

Mutant = namedtuple('Mutant', 'rule what fails')


def read():
    rows = pathlib.Path(__file__).with_name('mutants.txt').read_text().splitlines()
    for row in rows:
        if not row.startswith('#'):
            rule, name, what, fails = row.split(' | ')
            yield name, Mutant(rule, what, None if fails == 'nothing' else fails)


MUTANTS = dict(read())
