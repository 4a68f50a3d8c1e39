-- The records. No foreign keys between them: a reference may arrive before what it refers to, and every key is led
-- by the user so that a distributed database can keep a user's rows together.

create table page_visits (
    user_id bigint not null,
    id text not null,
    revision bigint not null,
    -- How many revisions were stored: 1 tells a created row from an updated one.
    stored_revisions bigint not null,
    stored_at_ms bigint not null,
    url text not null,
    -- Host of the URL, for erasing by site; `domain` is what the client said.
    host text not null,
    title text,
    visited_at_ms bigint not null,
    opened_at_ms bigint,
    source_page_visit_id text,
    tab_id bigint,
    domain text,
    duration_seconds double precision,
    active_duration_seconds double precision not null,
    engagement_rate double precision,
    idle_periods text,
    last_heartbeat_ms bigint,
    anonymous_client_id text,
    category text,
    category_confidence double precision,
    category_method text,
    metadata text not null,
    -- Fields this server doesn't know, as a JSON object; null if there are none.
    extra text,
    primary key (user_id, id)
);

create index page_visits_newest on page_visits (user_id, visited_at_ms, id);

create table tab_aggregates (
    user_id bigint not null,
    id text not null,
    revision bigint not null,
    stored_revisions bigint not null,
    stored_at_ms bigint not null,
    page_visit_id text not null,
    total_time_seconds double precision not null,
    active_time_seconds double precision not null,
    scroll_depth_percent double precision,
    closed_at_ms bigint,
    domain_durations text,
    page_count bigint,
    current_url text,
    current_host text,
    current_domain text,
    statistics text,
    extra text,
    primary key (user_id, id)
);

create index tab_aggregates_visit on tab_aggregates (user_id, page_visit_id);
