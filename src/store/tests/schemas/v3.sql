-- Schema 3 as it was released: what this version added to the one before it. Never edited.
ALTER TABLE spent ADD COLUMN estimated TEXT;
