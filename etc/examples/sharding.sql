-- Which server holds an account; a bare domain is for all of its accounts without a row.
CREATE TABLE accounts (
    address VARCHAR(320) NOT NULL PRIMARY KEY,
    shard VARCHAR(64) NOT NULL
);
INSERT INTO accounts VALUES ('alice@example.org', 'shard-1');
INSERT INTO accounts VALUES ('example.net', 'shard-2');
