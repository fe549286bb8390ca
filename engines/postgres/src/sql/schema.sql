-- The tables. What is hot is only ever inserted into: an old snapshot, which keeps the server from clearing up, finds
-- nothing there to be cleared up.

create table dozen.meta (
    name  text primary key,
    value text not null
);

create sequence dozen.position minvalue 0 start 0;  -- its last value is the last position given
create sequence dozen.fence;
create sequence dozen.version;
create sequence dozen.change;                       -- moves when anything but an append may be of interest
create sequence dozen.outbox_seq;

create table dozen.stream (
    stream        bigint generated always as identity primary key,
    name          text collate "C" not null unique,
    floor         bigint not null default 0,        -- everything up to here is forgotten
    floor_ordinal bigint not null default 0,
    floor_volume  bigint not null default 0,
    compacted     bigint not null default 0,        -- bytes above the floor that compaction has taken out
    gaps          boolean not null default false,   -- whether it ever has
    swept         bigint not null default 0         -- up to where the compaction under way has looked
);

create table dozen.entry (
    stream     bigint not null,
    position   bigint not null,
    ordinal    bigint not null,                     -- how many entries of its stream there were, this one included
    volume     bigint not null,                     -- and how many bytes of payload
    at         bigint not null,                     -- microseconds since 1970
    due        bigint,
    outbox     bigint,                              -- whose payload it is, where that stands in the outbox
    size       integer not null,
    id         text collate "C" not null,
    kind       text collate "C" not null,
    key        text collate "C",
    attributes text not null,                       -- the other CloudEvents attributes, one JSON object
    data       bytea,
    primary key (stream, position)
) partition by range (position);
create index entry_id on dozen.entry using hash (id);
create index entry_outbox on dozen.entry (outbox) where outbox is not null;

create table dozen.reader (
    reader   bigint generated always as identity unique, -- a new one with each seek: what it had in hand is then nobody's
    stream   bigint not null,
    name     text collate "C" not null,
    position bigint not null,                       -- where it stands until it has a batch
    ordinal  bigint not null,
    claimed  bigint,
    watched  bigint not null default 0,
    paused   boolean not null default false,
    primary key (stream, name)
);

-- What was looked at together, and leased together. A reader stands where its newest batch ends.
create table dozen.batch (
    reader    bigint not null,
    fence     bigint not null,
    after     bigint not null,
    position  bigint not null,                      -- entries in (after, position] were looked at
    ordinal   bigint not null,
    claimed   bigint not null,
    until     bigint not null,
    watched   bigint not null,                      -- batches that ended up to here have been dealt with
    leased    integer not null,
    positions bigint[],                             -- what is leased with it; null: all that was looked at
    primary key (reader, fence)
) partition by range (fence);
create index batch_until on dozen.batch (reader, until);

-- Receipts, one for each message and reader: whoever inserts it first has settled the message.
create table dozen.done (
    reader   bigint not null,
    position bigint not null,
    state    smallint not null,                     -- 10 done 11 dropped 20 its claim tells
    attempts integer not null,
    claimed  bigint,
    ended    bigint not null,
    errors   jsonb,
    primary key (reader, position)
) partition by range (position);

-- Claims that are out of the ordinary.
create table dozen.claim (
    reader   bigint not null,
    position bigint not null,
    state    smallint not null,                     -- 0 leased 1 waiting 2 held 3 parked
    due      bigint,
    attempts integer not null,
    fence    bigint not null,
    claimed  bigint,
    ended    bigint,
    key      text collate "C",
    errors   jsonb,
    primary key (reader, position)
);
create index claim_due on dozen.claim (reader, state, due, position);
create index claim_key on dozen.claim (reader, key, position) where key is not null;

create table dozen.edit (
    reader     bigint not null,
    position   bigint not null,
    kind       text collate "C" not null,
    attributes text not null,
    data       bytea not null,
    primary key (reader, position)
);

create table dozen.record (
    space   text collate "C" not null,
    key     text collate "C" not null,
    version bigint not null,
    value   bytea not null,
    expires bigint,
    primary key (space, key)
);
create index record_expires on dozen.record (expires) where expires is not null;

-- Anybody inserts here, in a transaction of its own, from any language. A row becomes an entry of the stream
-- topic/<aggregatetype>, with aggregateid as its key and type as its type. The two last columns are not for callers; their
-- order matters: the transaction has its number before the row has its own.
create table dozen.outbox (
    id            text not null default gen_random_uuid()::text check (id <> ''),
    aggregatetype text not null check (aggregatetype <> ''),
    aggregateid   text,
    type          text not null check (type <> ''),
    payload       jsonb,
    data          bytea,                            -- instead of payload, for what is no JSON
    headers       jsonb check (jsonb_typeof(headers) = 'object'),
    xid           xid8 not null default pg_current_xact_id(),
    seq           bigint not null default nextval('dozen.outbox_seq')
) partition by range (seq);
create unique index outbox_seq_unique on dozen.outbox (seq);
create index outbox_xid on dozen.outbox (xid);

-- Up to where the outbox has been made entries of: everything that `snapshot` sees.
create table dozen.tick (
    tick        bigint generated always as identity primary key,
    origin      text not null,                      -- which cluster, database and timeline its numbers are of
    epoch       bigint not null,
    snapshot    pg_snapshot not null,
    seq         bigint not null,                    -- the outbox's last number before that snapshot
    settled     boolean not null,                   -- whether everybody who had a number up to `seq` had ended
    horizon     xid8 not null,                      -- later than all who had a number up to `seq`
    rebase_seq  bigint not null,                    -- rows up to here are judged by whether they have an entry
    rebase_xid  xid8 not null                       -- unless their transaction is older than this
);
