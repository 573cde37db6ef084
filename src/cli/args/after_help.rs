//! What stands below the options in the help of each command: its exit statuses, above all.

pub(super) const AFTER_HELP: &str = "\
Every option --some-name is also the environment variable INCUMBENT_SOME_NAME and the key some_name of \
the configuration file; the first of these that is given counts. The password of a store is read from \
--password-file or --password-cmd, from INCUMBENT_PASSWORD, or from the file.";

pub(super) const RUN_AFTER_HELP: &str = "\
The program gets INCUMBENT_ELECTION, INCUMBENT_FENCING_TOKEN and INCUMBENT_CANDIDATE_ID.

Exit status: the program's own, or 128 + the signal that killed it; 64 wrong usage, 69 store unreachable \
(--no-wait) or the HTTP address in use, 75 not elected (--no-wait, --wait-timeout), 77 refused by the store, 78 wrong configuration, \
124 leadership lost, or the program unhealthy, and the program stopped, 125 incumbent itself failed, 126 the program cannot be \
executed, 127 the program was not found.

Every option --some-name is also the environment variable INCUMBENT_SOME_NAME and the key some_name of \
the configuration file; the first of these that is given counts.";

pub(super) const STATUS_AFTER_HELP: &str = "\
Exit status: 0 held, 3 nobody leads: it is not held, or its holder has stood still for longer than its window; \
64 wrong usage, 69 too few stores answered, or their records cannot be read, 77 refused by the stores, 78 wrong \
configuration.";

pub(super) const LIST_AFTER_HELP: &str = "\
Exit status: 0 (also when there is no election), 64 wrong usage, 69 too few stores answered, 77 refused \
by the stores, 78 wrong configuration.";

pub(super) const RELEASE_AFTER_HELP: &str = "\
For ExecStopPost= of a unit: --after-unit reads which term to release from the unit's runtime directory, \
waits until no process of the unit is left, and does nothing when the elector has released by itself.

Exit status: 0 released, or nothing to release; 64 wrong usage, 69 too few stores answered, 75 processes \
of the unit are still alive, so nothing was released; 78 wrong configuration.";

pub(super) const WATCH_AFTER_HELP: &str = "\
On a terminal the table is redrawn in place; elsewhere, and with -o json, one line is written for each \
change. Exit status: 0 when interrupted, 64 wrong usage, 78 wrong configuration.";

pub(super) const CANDIDATES_AFTER_HELP: &str = "\
Exit status: 0, 3 nobody campaigns, 64 wrong usage, 69 too few stores answered, 77 refused by the stores, \
78 wrong configuration.";

pub(super) const ORDER_AFTER_HELP: &str = "\
Exit status: 0 ordered, 64 wrong usage, 69 no majority of the stores took the order, 77 refused by the \
stores, 78 wrong configuration.";

pub(super) const RESIGN_AFTER_HELP: &str = "\
The leader hears of it within one interval, stops its work, and releases when that has ended. It sits out \
one window before it campaigns again; with --to, everybody but the one named does.

Exit status: 0 ordered, or with --wait: somebody else leads; 3 nobody leads, so there is nobody to resign; \
64 wrong usage, or no standby is the one named; 69 no majority of the stores took the order, 75 --wait ran \
out, 77 refused by the stores, 78 wrong configuration.";

pub(super) const DEPOSE_AFTER_HELP: &str = "\
It watches the election, and vacates it only if its counter stands still for the window of its holder, as \
long as a standby would wait.

Exit status: 0 deposed, 3 nobody holds it, 64 wrong usage or no --yes, 69 no majority of the stores took the \
order, 75 the holder is alive, 77 refused by the stores, 78 wrong configuration.";

pub(super) const DOCTOR_AFTER_HELP: &str = "\
On a Redis it tries the four operations for real, on a scratch election that it removes again.

Exit status: 0 nothing found, 1 something to look at, 2 something that endangers the election, 64 wrong \
usage, 78 wrong configuration.";

pub(super) const UNIT_AFTER_HELP: &str = "\
The options, the environment and the configuration file count as for run, and are written into the unit. A \
password is not: give --password-file. Exit status: 0 printed, 64 wrong usage, 78 wrong configuration, or \
a password that would stand in the unit; 126 the program cannot be executed, 127 the program was not found.";
