-- What inboxes have seen, in a segment for each day on which it is forgotten.
create table dozen.mark (
    gone_by bigint not null,                        -- that day, counted since 1970
    space   text collate "C" not null,
    key     text collate "C" not null,
    primary key (space, key, gone_by)
) partition by range (gone_by);
