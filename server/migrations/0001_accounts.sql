-- One schema for SQLite and PostgreSQL: only text, bigint and double precision, moments in ms since the epoch.

create table server_secrets (
    name text not null primary key,
    value text not null
);

create table users (
    id bigint not null primary key,
    email text not null,
    password_hash text not null,
    first_name text,
    last_name text,
    verified_at_ms bigint,
    created_at_ms bigint not null,
    -- Written first by every transaction that stores or erases records: the row lock puts them in a line per user.
    last_write_at_ms bigint not null
);

create unique index users_email on users (email);

-- A session is a family of refresh tokens. The tokens themselves are signed, not stored.
create table sessions (
    user_id bigint not null,
    id text not null,
    -- The newest refresh token that came back, and how many came before it (see auth/session.rs).
    used_generation bigint not null,
    used_token_id text not null,
    created_at_ms bigint not null,
    expires_at_ms bigint not null,
    revoked_at_ms bigint,
    primary key (user_id, id)
);
