"""The journal's tables, and how an older journal becomes a newer one.

Rule: `MIGRATIONS[n]` turns version n into n + 1 and is never edited once it was released; `PRAGMA user_version` says where a
file stands. The keys are those of the records (session, path, version), so a row can be written before anything is looked up.

The theory in six lines. A CAR is stored once, whatever uses it; `block` says where each block lies and is what a gateway
reads by. It is keyed by the digest, not by the CID, so that a block is found under any version and codec of its CID, as in
Kubo's blockstore. A file version is a row that nothing ever changes but the identity (the same bytes, seen again). What a
playlist lists is kept as intervals of its versions. A shard is what one target is sent, so the queue is `shard` where
`confirmed_at IS NULL`, and an index that holds just those rows answers what is due and how much waits without the table.
Every foreign key has an index behind it: what is reclaimed later is found without a scan.
"""

APPLICATION_ID = 0x686C7370  # "hlsp", in the file's header: `file journal.db` and a wrong path can tell

_VERSION_1 = """
CREATE TABLE stream (
    stream_id   INTEGER PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE,
    directory   TEXT NOT NULL,
    declared_at REAL NOT NULL,
    last_seq    INTEGER NOT NULL DEFAULT 0      -- of announced roots; never goes back
) STRICT;

CREATE TABLE session (
    session_id    INTEGER PRIMARY KEY,
    stream_id     INTEGER NOT NULL REFERENCES stream,
    label         TEXT NOT NULL,
    state         TEXT NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'ending', 'ended')),
    reason        TEXT,
    settings      TEXT NOT NULL,
    started_at    REAL NOT NULL,
    ending_at     REAL,
    ended_at      REAL,
    last_taken_at REAL,
    segments      INTEGER NOT NULL DEFAULT 0,   -- paths of media taken, counted as they come
    UNIQUE (stream_id, label)
) STRICT;

CREATE TABLE car (
    car_id INTEGER PRIMARY KEY,
    key    TEXT NOT NULL UNIQUE,
    kind   TEXT NOT NULL,
    root   BLOB NOT NULL,
    size   INTEGER NOT NULL,
    sha256 BLOB                                 -- of the whole CAR, where a target wants it
) STRICT;

CREATE TABLE block (
    digest BLOB NOT NULL,
    car_id INTEGER NOT NULL REFERENCES car ON DELETE CASCADE,
    offset INTEGER NOT NULL,                    -- of the data, behind length and CID
    length INTEGER NOT NULL,
    PRIMARY KEY (digest, car_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX block_car ON block (car_id);

CREATE TABLE file (
    session_id  INTEGER NOT NULL REFERENCES session,
    path        TEXT NOT NULL,
    version     INTEGER NOT NULL,
    kind        TEXT NOT NULL,
    car_id      INTEGER NOT NULL REFERENCES car, -- its root is the file's CID
    size        INTEGER NOT NULL,
    tsize       INTEGER NOT NULL,
    device      INTEGER NOT NULL,
    inode       INTEGER NOT NULL,
    source_size INTEGER NOT NULL,                -- differs from `size` where hlspub added its own lines
    mtime_ns    INTEGER NOT NULL,
    ctime_ns    INTEGER NOT NULL,
    taken_at    REAL NOT NULL,
    PRIMARY KEY (session_id, path, version)
) STRICT, WITHOUT ROWID;
CREATE INDEX file_car ON file (car_id);

CREATE TABLE playlist (
    session_id        INTEGER NOT NULL,
    path              TEXT NOT NULL,
    version           INTEGER NOT NULL,
    multivariant      INTEGER NOT NULL,
    media_sequence    INTEGER NOT NULL,
    last_sequence     INTEGER NOT NULL,
    target_duration_s REAL NOT NULL,
    endlist           INTEGER NOT NULL,
    PRIMARY KEY (session_id, path, version),
    FOREIGN KEY (session_id, path, version) REFERENCES file
) STRICT, WITHOUT ROWID;

CREATE TABLE interval (
    session_id   INTEGER NOT NULL,
    playlist     TEXT NOT NULL,
    path         TEXT NOT NULL,
    from_version INTEGER NOT NULL,
    to_version   INTEGER,                        -- the first version that no longer lists it; NULL: the newest does
    bound        INTEGER,                        -- version of `path` that the listing means; NULL: not there yet
    kind         TEXT NOT NULL,
    sequence     INTEGER NOT NULL,
    PRIMARY KEY (session_id, playlist, path, from_version),
    FOREIGN KEY (session_id, playlist, from_version) REFERENCES playlist (session_id, path, version),
    FOREIGN KEY (session_id, path, bound) REFERENCES file (session_id, path, version)
) STRICT, WITHOUT ROWID;
CREATE INDEX interval_bound ON interval (session_id, path, bound);

CREATE TABLE target (
    target_id INTEGER PRIMARY KEY,
    name      TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE shard (
    shard_id     INTEGER PRIMARY KEY,
    target_id    INTEGER NOT NULL REFERENCES target,
    urgent       INTEGER NOT NULL,
    size         INTEGER NOT NULL,               -- of its CARs together
    queued_at    REAL NOT NULL,
    attempts     INTEGER NOT NULL DEFAULT 0,
    next_try_at  REAL,                           -- NULL after a failed try: not before a person acts
    error        TEXT,
    confirmed_at REAL,
    note         TEXT
) STRICT;
CREATE INDEX shard_pending ON shard (target_id, urgent DESC, shard_id, attempts, next_try_at, size, queued_at)
    WHERE confirmed_at IS NULL;
CREATE INDEX shard_failing ON shard (target_id, next_try_at) WHERE confirmed_at IS NULL AND attempts > 0;

CREATE TABLE shard_car (
    shard_id INTEGER NOT NULL REFERENCES shard ON DELETE CASCADE,
    car_id   INTEGER NOT NULL REFERENCES car,
    PRIMARY KEY (shard_id, car_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX shard_car_car ON shard_car (car_id);

CREATE TABLE root (
    session_id   INTEGER NOT NULL REFERENCES session,
    number       INTEGER NOT NULL,
    stream_id    INTEGER NOT NULL REFERENCES stream,
    root         BLOB NOT NULL,
    tsize        INTEGER NOT NULL,
    entry        TEXT NOT NULL,
    final        INTEGER NOT NULL,
    car_id       INTEGER REFERENCES car,         -- its node CAR; NULL: no new block was needed
    made_at      REAL NOT NULL,
    seq          INTEGER,                        -- NULL: not announced
    announced_at REAL,
    latency_s    REAL,
    PRIMARY KEY (session_id, number)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX root_seq ON root (stream_id, seq) WHERE seq IS NOT NULL;
CREATE INDEX root_final ON root (stream_id, seq) WHERE seq IS NOT NULL AND final;
CREATE INDEX root_car ON root (car_id) WHERE car_id IS NOT NULL;

CREATE TABLE root_playlist (
    session_id INTEGER NOT NULL,
    number     INTEGER NOT NULL,
    path       TEXT NOT NULL,
    version    INTEGER NOT NULL,
    PRIMARY KEY (session_id, number, path),
    FOREIGN KEY (session_id, number) REFERENCES root ON DELETE CASCADE,
    FOREIGN KEY (session_id, path, version) REFERENCES file
) STRICT, WITHOUT ROWID;
CREATE INDEX root_playlist_file ON root_playlist (session_id, path, version);

CREATE TABLE root_bound (
    session_id INTEGER NOT NULL,
    number     INTEGER NOT NULL,
    target_id  INTEGER NOT NULL REFERENCES target,
    bound_at   REAL NOT NULL,
    PRIMARY KEY (session_id, number, target_id),
    FOREIGN KEY (session_id, number) REFERENCES root ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
"""

_VERSION_2 = """
ALTER TABLE interval RENAME TO old_interval;
DROP INDEX interval_bound;
CREATE TABLE interval (
    session_id   INTEGER NOT NULL,
    playlist     TEXT NOT NULL,
    path         TEXT NOT NULL,
    from_version INTEGER NOT NULL,
    to_version   INTEGER,                        -- the first version that no longer lists it; NULL: the newest does
    bound        INTEGER,                        -- version of `path` that the listing means; NULL: not there yet
    kind         TEXT NOT NULL,
    sequence     INTEGER NOT NULL,
    PRIMARY KEY (session_id, playlist, path, from_version),
    -- no key to the playlist's version: it goes when it is superseded, the listing stays
    FOREIGN KEY (session_id, path, bound) REFERENCES file (session_id, path, version)
) STRICT, WITHOUT ROWID;
INSERT INTO interval (session_id, playlist, path, from_version, to_version, bound, kind, sequence)
    SELECT session_id, playlist, path, from_version, to_version, bound, kind, sequence FROM old_interval;
DROP TABLE old_interval;
CREATE INDEX interval_bound ON interval (session_id, path, bound);

ALTER TABLE file ADD COLUMN passed INTEGER NOT NULL DEFAULT 0;  -- 1: its window went on, and the transcoder deleted it
CREATE INDEX file_passed ON file (session_id) WHERE passed;

CREATE TABLE learned_segment (                   -- what windows listed, for the archive playlist
    session_id INTEGER NOT NULL REFERENCES session,
    playlist   TEXT NOT NULL,
    sequence   INTEGER NOT NULL,
    text       TEXT NOT NULL,
    keys       TEXT NOT NULL,
    map        TEXT NOT NULL,
    map_keys   TEXT NOT NULL,
    number     INTEGER NOT NULL,
    target_s   REAL NOT NULL,
    at_head    INTEGER NOT NULL,
    PRIMARY KEY (session_id, playlist, sequence)
) STRICT, WITHOUT ROWID;

CREATE TABLE learned_range (
    session_id INTEGER NOT NULL REFERENCES session,
    playlist   TEXT NOT NULL,
    line       TEXT NOT NULL,
    sequence   INTEGER NOT NULL,
    floats     INTEGER NOT NULL,
    PRIMARY KEY (session_id, playlist, line)
) STRICT, WITHOUT ROWID;

CREATE TABLE gone (                              -- CARs that were forgotten and whose files may still lie in the store
    key TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;
"""

_VERSION_3 = """
CREATE TABLE name (                              -- names of IPNS
    name     TEXT PRIMARY KEY,                   -- k51…
    label    TEXT NOT NULL,                      -- what the configuration calls it
    stream   TEXT NOT NULL,
    sequence INTEGER NOT NULL,                   -- never goes back
    root     BLOB NOT NULL,
    signed   BLOB NOT NULL,                      -- the newest record
    made_at  REAL NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE name_sent (
    name     TEXT NOT NULL REFERENCES name,
    service  TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    sent_at  REAL NOT NULL,
    PRIMARY KEY (name, service)
) STRICT, WITHOUT ROWID;
"""

_VERSION_4 = """
CREATE TABLE hook (                              -- who is told of publications, and how far
    name      TEXT NOT NULL,                     -- what the configuration calls it
    stream_id INTEGER NOT NULL REFERENCES stream,
    seq       INTEGER NOT NULL,                  -- of the last publication that it took, or that it need not take
    told_at   REAL,                              -- when it took one last; NULL: none yet
    PRIMARY KEY (name, stream_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX hook_stream ON hook (stream_id);
"""

MIGRATIONS: tuple[str, ...] = (_VERSION_1, _VERSION_2, _VERSION_3, _VERSION_4)
