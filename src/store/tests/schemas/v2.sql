-- Schema 2 as it was released: what this version added to the one before it. Never edited.
CREATE TABLE spent (
  run      TEXT PRIMARY KEY,
  wall_ms  INTEGER NOT NULL,
  feature  TEXT NOT NULL,
  task     TEXT,
  stage    TEXT,
  role     TEXT NOT NULL,
  attempt  INTEGER NOT NULL CHECK (attempt >= 0),
  agent    TEXT NOT NULL,
  model    TEXT NOT NULL,
  input    INTEGER NOT NULL CHECK (input >= 0),
  output   INTEGER NOT NULL CHECK (output >= 0),
  cached   INTEGER CHECK (cached >= 0),
  cost     INTEGER CHECK (cost >= 0)
) STRICT;
CREATE INDEX spent_of_task ON spent (feature, task);
