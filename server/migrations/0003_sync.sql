-- What surrounds the records: remembered answers, the log of syncs, and what was erased.

-- 1 as soon as the user has erased anything: most never do, and then no batch looks further.
alter table users add column has_erasures bigint not null default 0;

-- Only the answer of a batch that was saved; written in its transaction.
create table idempotency_keys (
    user_id bigint not null,
    key text not null,
    -- SHA-256 of the body: another body under the same key is another batch.
    body_digest text not null,
    counts text not null,
    created_at_ms bigint not null,
    primary key (user_id, key)
);

create table sync_log (
    user_id bigint not null,
    id text not null,
    at_ms bigint not null,
    -- saved or refused
    outcome text not null,
    sent bigint not null,
    created bigint not null,
    updated bigint not null,
    ignored bigint not null,
    refused bigint not null,
    -- Name and version of browser and extension, if the client said so.
    client text,
    primary key (user_id, id)
);

-- A predicate over visits, kept for ever: a record that falls under it is ignored however late it comes.
create table erasures (
    user_id bigint not null,
    -- Host without www; subdomains are meant as well. Empty: every site.
    site text not null,
    from_ms bigint not null,
    to_ms bigint not null,
    erased_at_ms bigint not null,
    primary key (user_id, site, from_ms, to_ms)
);

-- Ids of visits that fell under a predicate, so that a late aggregate follows its visit.
create table erased_visits (
    user_id bigint not null,
    id text not null,
    primary key (user_id, id)
);
