CREATE TABLE moved (
    address VARCHAR(320) NOT NULL PRIMARY KEY,
    destination VARCHAR(64) NOT NULL DEFAULT 'new'
);
INSERT INTO moved (address) VALUES ('alice@example.org');
INSERT INTO moved VALUES ('bob@example.org', 'moving');
