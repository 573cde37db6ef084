"""From what machines measure to the time of the relation, which an outside observer would measure.

Every clock runs at a rate of its own that may change all the time. Of a length `t` it shows between `slow * t` and
`fast * t`, and `slow` is at least 98 % of `fast`. With that, the lengths that the relation uses are

    tenure = measured tenure / slow,    window = measured window / fast,    probation = measured probation / fast
"""
from z3 import And, Implies, Not, Reals

from system import Obligation

fast, slow = Reals('fast slow')
t, t2, measured, measured2, age = Reals('t t2 measured measured2 age')
local_tenure, local_window, local_probation, other_window = Reals('local_tenure local_window local_probation other_window')
window, probation = Reals('window probation')

RATES = And(slow > 0, slow <= fast, slow * 100 >= fast * 98)
# `Timing` keeps the margin: two hundredths of the window, or 50 ms if that is more.
TIMING = And(0 < local_tenure, local_tenure * 100 <= local_window * 98)


def shows(clock, length):
    return And(length >= 0, slow * length <= clock, clock <= fast * length)


LEMMAS = {
    'who still acts by its own clock is within the tenure': Implies(
        And(RATES, shows(measured, t), measured < local_tenure), t * slow < local_tenure),
    'who has waited by its own clock has waited for the window': Implies(
        And(RATES, shows(measured, t), measured >= local_window), t * fast >= local_window),
    'a tenure is no longer than any window of the same length': Implies(
        And(RATES, TIMING), local_tenure * fast <= local_window * slow),
    'an age stays an age when a clock counts on': Implies(
        And(RATES, t >= 0, age <= fast * t, shows(measured2, t2)), age + measured2 <= fast * (t + t2)),
    'a memory that is said to be as old as a probation is': Implies(
        And(RATES, t >= 0, age <= fast * t, age >= local_probation), t * fast >= local_probation),
    'a probation is no shorter than the window of anybody, if it is set so': Implies(
        And(RATES, other_window <= local_probation, window * fast == other_window, probation * fast == local_probation),
        window <= probation),
}


def lemmas():
    return [Obligation('clocks', name, [Not(formula)]) for name, formula in LEMMAS.items()]
