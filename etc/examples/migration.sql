CREATE TABLE moved (
    address VARCHAR(320) NOT NULL PRIMARY KEY,
    state VARCHAR(16) NOT NULL DEFAULT 'active',
    reason VARCHAR(200)
);
INSERT INTO moved (address) VALUES ('alice@example.org');
INSERT INTO moved VALUES ('bob@example.org', 'deny', 'your mailbox is being moved');
