//! The help below the options of each command: examples and exit statuses.

/// The exit statuses of the commands that only read.
macro_rules! read_exit {
    () => {
        "\
Exit status: 0 (even if there is no election), 64 wrong usage, 69 too few stores answered, 77 refused \
by the stores, 78 wrong configuration."
    };
}

/// The exit statuses of `pause` and `resume`.
macro_rules! order_exit {
    () => {
        "\
Exit status: 0 ordered, 64 wrong usage, 69 no majority of the stores took the order, 77 refused by the \
stores, 78 wrong configuration."
    };
}

pub(super) const AFTER_HELP: &str = "\
Examples:
  incumbent run billing -- /usr/bin/billing-worker  # on one host, no setup
  incumbent run billing --store redis://db.example -- /usr/bin/billing-worker
  incumbent status billing --store redis://db.example  # show its leader
  incumbent run --help                        # the options of one command

Every option --some-name is also the environment variable INCUMBENT_SOME_NAME and the key some_name of \
the configuration file; the first of these that is given counts. The password of a store is read from \
--password-file or --password-cmd, from INCUMBENT_PASSWORD, or from the file.";

pub(super) const RUN_AFTER_HELP: &str = "\
Examples:
  # Run a program once, among the processes of this user on this host:
  incumbent run billing -- /usr/bin/billing-worker --verbose
  # On one of many hosts that share a Redis; campaign again after a loss:
  incumbent run billing --store redis://db.example --restart -- ./worker
  # Run a job on the first host that gets here, and skip it on the others:
  incumbent run nightly --store redis://db.example --no-wait -- ./report

The program gets INCUMBENT_ELECTION, INCUMBENT_FENCING_TOKEN and INCUMBENT_CANDIDATE_ID.

Exit status: the program's own, or 128 + the signal that killed it; 64 wrong usage, 69 store unreachable \
(--no-wait) or the HTTP address in use, 75 not elected (--no-wait, --wait-timeout), 77 refused by the store, 78 wrong configuration, \
124 leadership lost, or the program unhealthy, and the program stopped, 125 incumbent itself failed, 126 the program cannot be \
executed, 127 the program was not found.

Every option --some-name is also the environment variable INCUMBENT_SOME_NAME and the key some_name of \
the configuration file; the first of these that is given counts.";

pub(super) const LOCK_AFTER_HELP: &str = "\
Examples:
  # Wait for the lock, as flock(1) does, but over all hosts:
  incumbent lock deploy --store redis://db.example -- ./deploy
  # Give up after 10 seconds, or at once with the status of flock(1):
  incumbent lock deploy -w 10s -- ./deploy
  incumbent lock deploy -n -E 1 -- ./deploy

The program runs as under `run`, once: it is not restarted, and `lock` exits with its status. It reads standard \
input, unless that is a terminal.

Exit status: the program's own, or 128 + the signal that killed it; 75 the lock was not got (--no-wait, \
--wait-timeout), 124 the lock was lost, or the program unhealthy, and the program stopped; otherwise as for `run`.";

pub(super) const ONCE_AFTER_HELP: &str = "\
Example:
  # In the crontab of every host, behind * * * * *: it runs on one of them.
  incumbent once report --at-least 55s --log-level warn -- ./report

The first host to get here pauses the election until 55 s after its start, by the clocks of the stores, and runs the \
program. The others find the election held or paused, and skip it. A run that fails or crashes counts. A run that \
takes longer than a tick is not joined by another one.

Exit status: the program's own, or 128 + the signal that killed it; 0 skipped (--skip-status), 69 the stores cannot \
be reached, or did not confirm the pause, so the program did not run, 124 leadership lost and the program stopped; \
otherwise as for `run`.";

pub(super) const STATUS_AFTER_HELP: &str = "\
Examples:
  incumbent status billing --store redis://db.example
  incumbent status billing -o json | jq -r .holder.host
  incumbent status billing >/dev/null && echo \"led\"

Exit status: 0 held, 3 no one leads: it is not held, or its holder has stalled for longer than its window; \
64 wrong usage, 69 too few stores answered, or their records cannot be read, 77 refused by the stores, 78 wrong \
configuration.";

pub(super) const LIST_AFTER_HELP: &str = concat!(
    "\
Examples:
  incumbent list --store redis://db.example
  incumbent list -o json | jq -r '.elections[].election'
  incumbent list -n 20                        # the first 20 by name

",
    read_exit!()
);

pub(super) const HISTORY_AFTER_HELP: &str = concat!(
    "\
Examples:
  incumbent history billing -n 5 --store redis://db.example
  incumbent history billing -o json | jq '.terms[] | {term, reason, gap_ms}'

",
    read_exit!()
);

pub(super) const RELEASE_AFTER_HELP: &str = "\
Example:
  ExecStopPost=/usr/bin/incumbent release billing --after-unit

For ExecStopPost= of a unit: --after-unit reads which term to release from the unit's runtime directory, \
waits until no process of the unit is left, and does nothing when the elector has released by itself.

Exit status: 0 released, or nothing to release; 64 wrong usage, 69 too few stores answered, 75 processes \
of the unit are still alive, so nothing was released; 78 wrong configuration.";

pub(super) const WATCH_AFTER_HELP: &str = "\
Examples:
  incumbent watch --store redis://db.example  # every election
  incumbent watch billing -o json | jq -r .state  # one line for each change

On a terminal the table is redrawn in place; elsewhere, and with -o json, one line is written for each \
change. Exit status: 0 when interrupted, 64 wrong usage, 78 wrong configuration.";

pub(super) const CANDIDATES_AFTER_HELP: &str = "\
Examples:
  incumbent candidates billing --store redis://db.example
  incumbent candidates billing -o json | jq -r '.candidates[].host'

Exit status: 0, 3 no one campaigns, 64 wrong usage, 69 too few stores answered, 77 refused by the stores, \
78 wrong configuration.";

pub(super) const PAUSE_AFTER_HELP: &str = concat!(
    "\
Examples:
  incumbent pause billing --reason \"new disks\" --for 1h
  incumbent pause billing                     # until it is resumed

",
    order_exit!()
);

pub(super) const RESUME_AFTER_HELP: &str = concat!(
    "\
Example:
  incumbent resume billing --store redis://db.example

",
    order_exit!()
);

pub(super) const RESIGN_AFTER_HELP: &str = "\
Examples:
  incumbent resign billing --wait             # any standby takes over
  incumbent resign billing --to web-2 --wait  # its host, label or id

The leader gets the order within one interval, stops its work, then releases. It waits one window before \
it campaigns again; with --to, so does every candidate except the one named.

Exit status: 0 ordered, or with --wait: another candidate leads; 3 no one leads, so there is nothing to resign; \
64 wrong usage, or no standby is the one named; 69 no majority of the stores took the order, 75 --wait ran \
out, 77 refused by the stores, 78 wrong configuration.";

pub(super) const DEPOSE_AFTER_HELP: &str = "\
Examples:
  incumbent depose billing                    # only show what it would do
  incumbent depose billing --yes              # wait a window, then vacate it

It watches the election, and vacates it only if the heartbeat stalls for the holder's window, which is as \
long as a standby would wait.

Exit status: 0 deposed, 3 no one holds it, 64 wrong usage or no --yes, 69 no majority of the stores took the \
order, 75 the holder is alive, 77 refused by the stores, 78 wrong configuration.";

pub(super) const FORGET_AFTER_HELP: &str = "\
Examples:
  incumbent forget billing                    # only show what it would do
  incumbent forget billing --yes              # delete record and history

It deletes nothing that anyone holds, that is paused, or that waits for a successor. Tokens rise all the same if the \
name is used again.

Exit status: 0 forgotten, or there is nothing of it; 3 the file of the store does not exist, 64 wrong usage or no \
--yes, 69 no majority of the stores took the order, 75 it is in use, 77 refused by the stores, 78 wrong \
configuration.";

pub(super) const DOCTOR_AFTER_HELP: &str = "\
Examples:
  incumbent doctor --store redis://db.example  # the server, and its rights
  incumbent doctor billing                    # and candidates of an election

On a Redis it tries the four operations for real, on a scratch election that it removes again.

Exit status: 0 nothing found, 1 something to look at, 2 something that endangers the election, 64 wrong \
usage, 78 wrong configuration.";

pub(super) const UNIT_AFTER_HELP: &str = "\
Examples:
  incumbent unit billing --store redis://db.example -- /usr/bin/billing-worker \\
    > /etc/systemd/system/billing.service

The options, the environment and the configuration file count as for run, and are written into the unit. A \
password is not: give --password-file. Exit status: 0 printed, 64 wrong usage, 78 wrong configuration, or \
a password that would appear in the unit; 126 the program cannot be executed, 127 the program was not found.";

pub(super) const EXPLAIN_AFTER_HELP: &str = "\
Examples:
  incumbent explain                           # the default timing
  incumbent explain --interval 200ms --stall-polls 20 --stop-grace 1s";

pub(super) const CONFIG_AFTER_HELP: &str = "\
Examples:
  incumbent config check --config /etc/incumbent/config.toml
  incumbent config show billing               # each value, and its source";

pub(super) const COMPLETIONS_AFTER_HELP: &str = "\
Examples:
  incumbent completions bash > /etc/bash_completion.d/incumbent
  incumbent completions fish > ~/.config/fish/completions/incumbent.fish";

pub(super) const MAN_AFTER_HELP: &str = "\
Example:
  incumbent man | man -l -";
