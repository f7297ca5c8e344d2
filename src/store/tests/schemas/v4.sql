-- Schema 4 as it was released: what this version added to the one before it. Never edited.
INSERT INTO meta VALUES ('name', lower(hex(randomblob(16))));
