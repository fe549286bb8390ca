-- What a reader has taken together, and not yet ended. A message of it that ends gets its row in dozen_claim then. Alone in
-- dozen_claim from the beginning are those with a key, and what is taken one at a time.
create table dozen_lease (
    reader    integer not null,
    fence     integer not null,
    until     integer not null,     -- when the lease ends
    claimed   integer not null,     -- when it began
    open      integer not null,     -- how many are not ended
    first     integer not null,     -- the lowest position of these
    positions blob not null,        -- all of these: see leases.rs
    primary key (reader, fence)     -- a reader has few, and all of them are looked at: no other index
) strict, without rowid;

-- What a reader has in the place of the entry's content, where a dead letter was edited.
alter table dozen_claim add column kind text;
alter table dozen_claim add column attributes text;
alter table dozen_claim add column data blob;

alter table dozen_reader add column paused integer not null default 0;

alter table dozen_stream add column bytes integer not null default 0;     -- of payload, that are kept
alter table dozen_stream add column compacted integer not null default 0; -- compaction knows all keys up to here
alter table dozen_stream add column revisited integer not null default 0; -- and has looked for replaced entries up to here
update dozen_stream set bytes = ifnull((
    select sum(length(data)) from dozen_entry where place between stream << 44 and (stream << 44) | 17592186044415), 0);

-- The last entry of each key, in streams that are compacted.
create table dozen_latest (
    stream   integer not null,
    key      text not null,
    position integer not null,
    primary key (stream, key)
) strict, without rowid;
