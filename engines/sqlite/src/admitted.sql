-- The outbox for rows that the library has made and the topic has taken: what `outbox.sql` checks of a row is not checked a
-- second time, but for the topic, which may be gone by now. The columns mean the same. SQLite 3.38 must be enough here, too.

create view dozen_admitted (id, aggregatetype, aggregateid, type, payload, headers) as -- made by dozen
    select id, substr(name, 7), key, kind, data, attributes
    from dozen_entry join dozen_stream on stream = place >> 44
    where name >= 'topic/' and name < 'topic0';

create trigger dozen_admitted_insert instead of insert on dozen_admitted begin
    select raise(abort, 'outbox: aggregatetype names no declared topic; correct it, or declare the topic in the file of `dozen up`')
    where not exists (select 1 from dozen_record where space = 'topic' and key = new.aggregatetype);

    insert into dozen_stream (name, appended, position)
        select 'topic/' || new.aggregatetype, 0, 0
        where not exists (select 1 from dozen_stream where name = 'topic/' || new.aggregatetype);

    update dozen_stream set position = position + 1, appended = appended + 1 where stream = 0;

    select raise(abort, 'outbox: the store has used up its positions or its streams')
    from dozen_stream head join dozen_stream topic on topic.name = 'topic/' || new.aggregatetype
    where head.stream = 0 and (head.position > 17592186044415 or topic.stream > 524287);

    insert into dozen_entry (place, id, kind, key, at, attributes, data)
    select (topic.stream << 44) | head.position, new.id, new.type, new.aggregateid,
           cast(strftime('%s', 'now') as integer) * 1000000 + cast(substr(strftime('%f', 'now'), 4) as integer) * 1000,
           new.headers, cast(new.payload as blob)
    from dozen_stream head join dozen_stream topic on topic.name = 'topic/' || new.aggregatetype
    where head.stream = 0;

    update dozen_stream
    set appended = appended + 1, position = (select position from dozen_stream where stream = 0),
        bytes = bytes + length(cast(new.payload as blob))
    where name = 'topic/' || new.aggregatetype;
end;
