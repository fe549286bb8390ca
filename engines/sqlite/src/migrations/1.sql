create table dozen_head (
    one      integer primary key check (one = 1),
    position integer not null,      -- the last one given
    commits  integer not null       -- how many groups were committed, by any process
) strict;
insert into dozen_head values (1, 0, 0);

create table dozen_stream (
    stream   integer primary key,
    name     text not null unique,
    appended integer not null,      -- how many entries ever
    position integer not null       -- of the last one
) strict;

create table dozen_entry (
    place      integer primary key, -- stream << 44 | position
    id         any not null,        -- a UUID as 16 bytes, anything else as text
    kind       text not null,
    key        text,
    at         integer not null,    -- microseconds since 1970
    due        integer,
    attributes text not null,       -- the other CloudEvents attributes, one JSON object
    data       blob not null
) strict;
create index dozen_entry_id on dozen_entry (id);

create table dozen_reader (
    reader   integer primary key,
    stream   integer not null references dozen_stream,
    name     text not null,
    position integer not null,      -- everything up to here has been looked at
    taken    integer not null,      -- how many entries that were
    unique (stream, name)
) strict;

create table dozen_claim (
    place    integer primary key,   -- reader << 44 | position
    reader   integer not null,
    state    integer not null,      -- 0 leased 1 waiting 2 held 3 parked | 10 done 11 dropped
    due      integer,               -- when the lease ends or the retry comes; null where nothing comes by itself
    attempts integer not null,
    fence    integer not null,
    claimed  integer,
    ended    integer,
    key      text,
    errors   text                   -- a JSON array
) strict;
create index dozen_claim_due on dozen_claim (reader, due, state) where due is not null;
create index dozen_claim_stuck on dozen_claim (reader, state) where due is null and state < 10;
create index dozen_claim_key on dozen_claim (reader, key, place) where key is not null and state < 10;

create table dozen_record (
    space   text not null,
    key     text not null,
    version integer not null,
    value   blob not null,
    expires integer,
    primary key (space, key)
) strict, without rowid;
create index dozen_record_expires on dozen_record (expires) where expires is not null;

create view dozen_journal as
    select place & 17592186044415 as position, name as stream, kind, key,
           iif(typeof(id) = 'blob', lower(hex(id)), id) as id,
           strftime('%Y-%m-%dT%H:%M:%fZ', at / 1e6, 'unixepoch') as at, attributes, cast(data as text) as data
    from dozen_entry join dozen_stream on stream = place >> 44;
