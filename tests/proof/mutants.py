"""The rules of the protocol, each broken once in the relation, and an obligation that fails then.

`examples/mutants` breaks the same rules in the code; `docs/mutants.md` has both. Where nothing fails, S1 and S2 do not
rest on the rule: the note says what does.
"""
from collections import namedtuple

Mutant = namedtuple('Mutant', 'rule what fails')

S1 = 'goal / S1: no one else acts when one is elected'
TAKEN_OVER = 'a claim is granted / who lost a store is over'

MUTANTS = {name: Mutant(rule, what, fails) for rule, name, what, fails in [
    ('R1', 'no stall', 'a held record is taken over, or deposed, at once', 'what stalled is deposed / who lost a store is over'),
    ('R1', 'the own window', 'waits for its own window only', 'what stalled is deposed / who lost a store is over'),
    ('R1', 'stall from the send', 'a stall counts from before the receipt', 'a standby receives it / sights in time'),
    ('R1', 'deposes what has not stalled', 'an operator deposes at once', 'what stalled is deposed / who lost a store is over'),
    ('R3', 'a term behind the clock', 'a term may be behind the clocks of the stores that are claimed',
     'a claim is sent on what was seen / expectations'),
    ('R3', 'no clock in the script', 'the only store numbers terms without its clock', 'a claim is granted / terms that count'),
    ('R3', 'a term that does not rise', 'a claim is granted with any term', 'a claim is granted / terms rise in a store'),
    ('R5', 'no wait', 'no one waits until a memory is old enough', S1),
    ('R5', 'no probation', 'a probation shorter than the window', S1),
    ('R5', 'short probation', 'a probation as long as the own window, with mixed windows', S1),
    ('R5', 'each store old enough at its own send', 'each store for itself: there need be no moment at which all are old enough', S1),
    ('R5', 'age at execution', 'each store is judged by its age when it granted', S1),
    ('R5', 'one store old enough', 'one store of the majority is old enough', 'is elected / elected by'),
    ('R5', 'what was not looked at counts', 'a heartbeat that attests nothing elects', 'a heartbeat is granted / grants'),
    ('R5', 'a join elects', 'a join counts for an election', 'a join is granted / terms rise in a store'),
    ('R5', 'age from the send', 'an age counts from the sending of the request that showed it',
     'somebody learns the age of the memory / knowledge'),
    ('R5', 'age of another memory', 'the age of one memory is taken for that of another',
     'somebody learns the age of the memory / knowledge'),
    ('R5', 'attests any memory', 'a memory takes what is said of another', 'an attestation is executed / memory'),
    ('R6', 'a hold over two memories', 'a claimant goes on though the memory changed under its hold',
     'a heartbeat is granted / terms that count'),
    ('R6', 'elected after it gave up', 'who gave its claim up is elected by it', S1),
    ('R7', 'a loss keeps the id', 'the memory keeps its id over a loss', 'a store loses all it holds, or goes back to something older / words'),
    ('R7', 'no list', 'the memory does not list the records', 'an unlisted record alone is lost / who lost a store is over'),
    ('R7', 'the list has no floors', 'the list has no floors', 'a listed record alone is lost / floors'),
    ('R7', 'a heartbeat lists nothing', 'a heartbeat does not list its record', 'a heartbeat is granted / unlisted records'),
    ('R8', 'a record under any memory', 'a record is claimed whatever the memory is', TAKEN_OVER),
    ('R8', 'an absent record under any memory', 'an absent record is claimed whatever the memory is', TAKEN_OVER),
    ('R8', 'no count of changes of hands', 'an absent record is claimed whoever held it meanwhile', TAKEN_OVER),
    ('R8', 'a foreign counter without a count of changes of hands', 'so is a foreign counter without a record', TAKEN_OVER),
    ('R8', 'a claim below the memory floor', 'the floor of the memory does not count', 'a claim is granted / terms rise in a store'),
    ('R8', 'a claim below the record floor alone', 'only one of the two floors counts', 'a claim is granted / terms rise in a store'),
    ('R9', 'a deletion forgets the floor', 'a deletion does not raise the floor of the memory', 'a release deletes the record / floors'),
    ('timing', 'no margin', 'a tenure as long as it likes', S1),
    ('send', 'a lease from the receipt', 'a lease runs from the receipt', S1),
    ('majority', 'majorities that share no store', 'two majorities need not share a store', S1),
    ('majority', 'a lease of another majority', 'the tenure is counted on another majority than the one that elects', 'is elected / elected'),
    ('claim', 'any mark', 'a claim is granted whatever the record has become', TAKEN_OVER),
    ('claim', 'a counter that stands still', 'a heartbeat leaves the counter as it is', 'a heartbeat is granted / marks'),
    ('claim', 'a foreign counter is not compared', "a foreign program's counter is not compared: it rests on the record's beat", None),
    ('S3', 'a heartbeat of anybody', "anybody's heartbeat is granted", 'a heartbeat is granted / who lost a store is over'),
    ('release', 'a release before the end', 'a release comes before the work has ended', 'a release is executed / who lost a store is over'),
    ('lost is final', 'renews after the end', 'an acknowledgement counts after the tenure has ended',
     'goal / S1 is kept: nothing else makes anybody act'),
    ('lost is final', 'a join after the end', 'a join is sent after the tenure has ended: what it brings does not count', None),
]}
