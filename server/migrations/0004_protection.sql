-- Sign-ups that wait for their address to be proved, rate limits, and the audit log.

-- Requests of a user in the current window of time; counted in the transactions that the requests make anyway.
alter table users add column window_start_ms bigint not null default 0;
alter table users add column window_requests bigint not null default 0;

-- One for each sign-up: whoever proves the address gets the password of the very sign-up whose code it was.
create table pending_sign_ups (
    email text not null,
    id text not null,
    code_digest text not null,
    password_hash text not null,
    first_name text,
    last_name text,
    expires_at_ms bigint not null,
    primary key (email, id)
);

-- Before there is a user to count for: by keyed digest of a network address or an e-mail address.
create table rate_limits (
    subject text not null primary key,
    window_start_ms bigint not null,
    requests bigint not null
);

-- Who did what to an account, without payloads. The address is a keyed digest.
create table audit_log (
    user_id bigint not null,
    id text not null,
    at_ms bigint not null,
    action text not null,
    address_digest text,
    primary key (user_id, id)
);
