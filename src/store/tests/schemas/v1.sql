-- Schema 1 as it was released: what this version added to the one before it. Never edited.
CREATE TABLE meta (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT;
INSERT INTO meta VALUES ('epoch', '0'), ('boot', ''), ('sprint', '');

CREATE TABLE configs (
  fingerprint TEXT PRIMARY KEY,
  body        TEXT NOT NULL CHECK (json_valid(body))
) STRICT;

CREATE TABLE features (
  id     TEXT PRIMARY KEY,
  status TEXT NOT NULL CHECK (status IN ('queued','gating','beginning','running','resting','finished','refused')),
  body   TEXT NOT NULL CHECK (json_valid(body)),
  frozen TEXT NOT NULL CHECK (json_valid(frozen))
) STRICT;

CREATE TABLE tasks (
  feature  TEXT NOT NULL REFERENCES features (id),
  id       TEXT NOT NULL,
  external TEXT,
  status   TEXT NOT NULL CHECK (status IN ('todo','ready','running','retry','landing','waiting','parked','skipped','done')),
  stage    TEXT,
  attempt  INTEGER NOT NULL CHECK (attempt >= 0),
  body     TEXT NOT NULL CHECK (json_valid(body)),
  PRIMARY KEY (feature, id)
) STRICT;

CREATE TABLE workers (
  name TEXT PRIMARY KEY,
  life TEXT NOT NULL CHECK (life IN ('absent','starting','idle','busy','ending','clearing','backoff','broken')),
  body TEXT NOT NULL CHECK (json_valid(body))
) STRICT;

CREATE TABLE runs (
  id       TEXT PRIMARY KEY,
  status   TEXT NOT NULL CHECK (status IN ('active','revoked','ended')),
  worker   TEXT NOT NULL,
  feature  TEXT NOT NULL,
  task     TEXT,
  stage    TEXT,
  member   INTEGER NOT NULL CHECK (member >= 0),
  attempt  INTEGER NOT NULL,
  began_ms INTEGER NOT NULL,
  ended_ms INTEGER,
  body     TEXT NOT NULL CHECK (json_valid(body))
) STRICT;
CREATE UNIQUE INDEX runs_of_worker ON runs (worker) WHERE status <> 'ended';
CREATE UNIQUE INDEX runs_of_task ON runs (feature, task, stage, member) WHERE status = 'active';
CREATE INDEX runs_history ON runs (feature, task);

CREATE TABLE inbox (
  id      INTEGER PRIMARY KEY AUTOINCREMENT,
  wall_ms INTEGER NOT NULL,
  body    TEXT NOT NULL CHECK (json_valid(body))
) STRICT;

CREATE TABLE results (
  id      INTEGER PRIMARY KEY,
  exit    INTEGER NOT NULL CHECK (exit BETWEEN 0 AND 255),
  message TEXT NOT NULL
) STRICT;

CREATE TABLE log (
  seq  INTEGER PRIMARY KEY AUTOINCREMENT,
  body TEXT NOT NULL CHECK (json_valid(body))
) STRICT;

CREATE TABLE events (
  seq     INTEGER PRIMARY KEY AUTOINCREMENT,
  log     INTEGER NOT NULL,
  wall_ms INTEGER NOT NULL,
  kind    TEXT NOT NULL,
  feature TEXT,
  task    TEXT,
  worker  TEXT,
  text    TEXT NOT NULL
) STRICT;
CREATE INDEX events_of_task ON events (feature, task);

CREATE TABLE outbox (
  event INTEGER NOT NULL,
  place INTEGER NOT NULL,
  done  INTEGER NOT NULL DEFAULT 0 CHECK (done IN (0, 1)),
  body  TEXT NOT NULL CHECK (json_valid(body)),
  PRIMARY KEY (event, place)
) STRICT;
CREATE INDEX outbox_open ON outbox (event) WHERE done = 0;

CREATE TABLE landings (
  feature TEXT NOT NULL,
  task    TEXT NOT NULL,
  commit_ TEXT NOT NULL,
  PRIMARY KEY (feature, task)
) STRICT;
