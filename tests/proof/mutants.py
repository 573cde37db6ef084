"""The rules of the protocol, each broken once, and the obligation that fails then.

`rule`: the id of docs/guarantees.md. A rule whose mutant fails no obligation is not needed for S1 and S2.
"""
from collections import namedtuple

Mutant = namedtuple('Mutant', 'rule what fails')
NOTHING = None
MUTANTS = {
}
