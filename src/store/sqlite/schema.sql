-- Version 7. Times are milliseconds since the epoch by this host's clock; they decide nothing.

CREATE TABLE election (
    name       TEXT PRIMARY KEY NOT NULL,
    floor      INTEGER NOT NULL,
    term       INTEGER NOT NULL,
    beat       INTEGER NOT NULL,
    holder     TEXT,    -- the candidate's id; NULL when vacant
    window_ns  INTEGER, -- the holder's window; NULL when vacant
    identity   TEXT,    -- the holder for people: id|host|pid|version
    since_ms   INTEGER, -- when the holder was granted the record
    changed_ms INTEGER, -- the last claim, heartbeat, release or deposition
    paused     TEXT,    -- until|by|reason; a row without a floor holds nothing else
    handover   TEXT     -- term|kind|successor
) STRICT, WITHOUT ROWID;

-- A file that forgets who leads would let the next claim act at once.
CREATE TRIGGER election_is_remembered BEFORE DELETE ON election
WHEN OLD.holder IS NOT NULL OR max(OLD.floor, OLD.beat) > (SELECT coalesce(max(floor), 0) FROM memory)
BEGIN
    SELECT RAISE(ABORT, 'an election that was held is not deleted: its leader may still act, and tokens would fall');
END;

-- Whether the file remembers everything: see memory.rs.
CREATE TABLE memory (
    id      INTEGER PRIMARY KEY CHECK (id = 1),
    made_ms INTEGER NOT NULL, -- this and the nonce are its name
    nonce   INTEGER NOT NULL,
    born_ns INTEGER NOT NULL, -- on the clock of this host that counts from its start
    floor   INTEGER NOT NULL, -- no term up to this is granted
    taken   INTEGER NOT NULL, -- how often held records have changed hands
    stamp   INTEGER NOT NULL, -- new with each change of hands, and the same in PATH-wake
    file    TEXT NOT NULL     -- which file was stamped
) STRICT;

CREATE TABLE candidate (
    election     TEXT NOT NULL,
    identity     TEXT NOT NULL,
    last_seen_ms INTEGER NOT NULL,
    PRIMARY KEY (election, identity)
) STRICT, WITHOUT ROWID;

-- Its ids are never used twice, so they identify what is new to a reader.
CREATE TABLE history (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    election TEXT NOT NULL,
    at_ms    INTEGER NOT NULL,
    term     INTEGER NOT NULL,
    holder   TEXT NOT NULL,
    change   TEXT NOT NULL,
    note     TEXT -- what else is known of it, or NULL
) STRICT;

-- The latest elections whose records were deleted, for the processes that wait for one of them.
CREATE TABLE deleted (
    id       INTEGER PRIMARY KEY,
    election TEXT NOT NULL
) STRICT;

CREATE INDEX history_of_election ON history (election, id);
