-- The outbox of any program that can write to this file: what is inserted here is published by the commit of the inserting
-- transaction, because the trigger writes the entry itself. It is made anew when this text changes.
--
-- What it lets in, and what it makes of it, is the same as on PostgreSQL (`door.sql` there), and so are the words. Programs
-- bring a SQLite of their own, which may be older than ours: 3.38 must be enough, so there is no computed message in raise(),
-- and none that names the topic and its limit. And a trigger inherits the conflict clause of the statement that fires it
-- (`insert or replace into outbox …`), so nothing here relies on one.

create view outbox (id, aggregatetype, aggregateid, type, payload, headers) as -- made by dozen
    select iif(typeof(id) = 'blob',
               lower(substr(hex(id), 1, 8) || '-' || substr(hex(id), 9, 4) || '-' || substr(hex(id), 13, 4) || '-'
                     || substr(hex(id), 17, 4) || '-' || substr(hex(id), 21)), id),
           substr(name, 7), key, kind,
           iif(instr(data, x'00') = 0 and json_valid(cast(data as text)), cast(data as text), data), attributes
    from dozen_entry join dozen_stream on stream = place >> 44
    where name >= 'topic/' and name < 'topic0';

create trigger outbox_insert instead of insert on outbox begin
    select raise(abort, 'outbox: aggregatetype names no declared topic; correct it, or declare the topic in the file of `dozen up`')
    where not exists (select 1 from dozen_record where space = 'topic' and key = new.aggregatetype);

    select raise(abort, 'outbox: type is missing; it says what happened, for example order.placed')
    where ifnull(new.type, '') = '';

    select raise(abort, 'outbox: id must be text, or a UUID, or null for one that is made here')
    where new.id = '' or (typeof(new.id) = 'blob' and length(new.id) <> 16);

    select raise(abort, 'outbox: headers must be one JSON object, for example {"subject":"o-7"}')
    where case when new.headers is null then false
               when json_valid(new.headers) then json_type(new.headers) <> 'object'
               else true end;

    select raise(abort, 'outbox: a name in headers is no attribute of CloudEvents, which have lower-case letters and digits only')
    from json_each(ifnull(new.headers, '{}')) where key glob '*[^a-z0-9]*' or key = '';

    select raise(abort, 'outbox: a value in headers is not what CloudEvents allow: no objects or arrays; text for source, subject, datacontenttype and dataschema; RFC 3339 for time')
    from json_each(ifnull(new.headers, '{}'))
    where type in ('object', 'array')
       or (key = 'source' and (type <> 'text' or atom = ''))
       or (key in ('subject', 'datacontenttype', 'dataschema', 'time') and type not in ('text', 'null'))
       or (key = 'time' and type = 'text' and not (
              atom glob '[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]*[Z0-9]'
              and strftime('%s', atom) is not null and date(substr(atom, 1, 10)) = substr(atom, 1, 10)));

    select raise(abort, 'outbox: payload is no JSON; write JSON, or name its media type in headers: {"datacontenttype":"text/plain"}')
    where typeof(new.payload) = 'text' and not json_valid(new.payload)
      and json_extract(ifnull(new.headers, '{}'), '$.datacontenttype') is null;

    select raise(abort, 'outbox: payload is larger than the topic takes; raise bytes-max of the topic, or send a reference')
    from dozen_record
    where space = 'topic' and key = new.aggregatetype
      and length(cast(new.payload as blob)) > json_extract(cast(value as text), '$.bytes_max');

    select raise(abort, 'outbox: the topic is sealed, and SQL has no keys; publish with the library or a sidecar')
    from dozen_record
    where space = 'topic' and key = new.aggregatetype and json_extract(cast(value as text), '$.sealed')
      and json_extract(ifnull(new.headers, '{}'), '$.dozensealed') is null;

    insert into dozen_stream (name, appended, position)
        select 'topic/' || new.aggregatetype, 0, 0
        where not exists (select 1 from dozen_stream where name = 'topic/' || new.aggregatetype);

    update dozen_stream set position = position + 1, appended = appended + 1 where stream = 0;

    select raise(abort, 'outbox: the store has used up its positions or its streams')
    from dozen_stream head join dozen_stream topic on topic.name = 'topic/' || new.aggregatetype
    where head.stream = 0 and (head.position > 17592186044415 or topic.stream > 524287);

    insert into dozen_entry (place, id, kind, key, at, attributes, data)
    select
        (topic.stream << 44) | head.position,
        -- What the library packs into 16 bytes may stand here as text: the engine looks for both.
        ifnull(iif(typeof(new.id) = 'blob', new.id, cast(new.id as text)),
               lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-'
                     || substr('89ab', 1 + (random() & 3), 1) || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6)))),
        cast(new.type as text),
        coalesce(
            nullif(cast(new.aggregateid as text), ''),
            nullif(cast(json_extract(headers, '$.dozenkey') as text), ''),
            -- The attribute, or the member of a JSON payload, that the topic's settings name, as for every other publisher.
            (select iif(type in ('true', 'false'), type, cast(atom as text)) from json_each(headers)
             where key = wanted and type <> 'null'
               and key not in ('id', 'source', 'type', 'specversion', 'time', 'datacontenttype', 'dataschema')),
            (select cast(atom as text) from json_each(told)
             where key = wanted and type in ('text', 'integer', 'real') and json_type(told) = 'object'
               and (ifnull(media_type, 'text/json') in ('application/json', 'text/json') or media_type like '%+json'))),
        cast(strftime('%s', 'now') as integer) * 1000000 + cast(substr(strftime('%f', 'now'), 4) as integer) * 1000,
        json_patch(
            json_patch('{}', json_object(
                'source', '/outbox/' || new.aggregatetype, 'time', strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), 'datacontenttype',
                iif(typeof(new.payload) = 'blob' and length(new.payload) > 0 and told is null, 'application/octet-stream', null))),
            json_remove(headers, '$.id', '$.type', '$.specversion', '$.dozenkey')),
        cast(ifnull(new.payload, '') as blob)
    from (select position from dozen_stream where stream = 0) head
        join dozen_stream topic on topic.name = 'topic/' || new.aggregatetype
        join (select json_extract(cast(value as text), '$.key') as wanted from dozen_record
              where space = 'topic' and key = new.aggregatetype)
        join (select ifnull(new.headers, '{}') as headers,
                     iif(instr(new.payload, x'00') = 0 and json_valid(cast(new.payload as text)), cast(new.payload as text), null)
                     as told)
        join (select lower(trim(substr(named, 1, instr(named || ';', ';') - 1))) as media_type
              from (select json_extract(ifnull(new.headers, '{}'), '$.datacontenttype') as named));

    update dozen_stream
    set appended = appended + 1, position = (select position from dozen_stream where stream = 0),
        bytes = bytes + length(cast(ifnull(new.payload, '') as blob))
    where name = 'topic/' || new.aggregatetype;
end;
