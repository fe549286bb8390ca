-- What inboxes have seen.
create table dozen_mark (
    space   text not null,
    key     text not null,
    gone_by integer not null,       -- the day, counted since 1970, on which it is forgotten
    primary key (space, key)
) strict, without rowid;
create index dozen_mark_gone_by on dozen_mark (gone_by);

-- They used to be rows like any other.
insert into dozen_mark
    select space, key, ifnull(expires, 9223372036854775807) / 86400000000 + 1 from dozen_record where space like 'inbox/%';
delete from dozen_record where space like 'inbox/%';
