-- The outbox of any program that can write to this file: what is inserted here is published by the commit of the inserting
-- transaction, because the trigger writes the entry itself. It is made anew when this text changes.
--
-- Programs bring a SQLite of their own, which may be older than ours: 3.38 must be enough, so there is no unhex() and no
-- computed message in raise(). And a trigger inherits the conflict clause of the statement that fires it (`insert or
-- replace into outbox …`), so nothing here relies on one.

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

    select raise(abort, 'outbox: id must be text, a UUID of 16 bytes, or null for one that is made here')
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
              and strftime('%s', atom) is not null));

    select raise(abort, 'outbox: payload is no JSON; write JSON, or name its media type in headers: {"datacontenttype":"text/plain"}')
    where typeof(new.payload) = 'text' and not json_valid(new.payload)
      and json_extract(ifnull(new.headers, '{}'), '$.datacontenttype') is null;

    select raise(abort, 'outbox: payload is larger than the topic takes, see bytes-max')
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

    update dozen_head set position = position + 1, commits = commits + 1;

    select raise(abort, 'outbox: the store has used up its positions or its streams')
    from dozen_head join dozen_stream on name = 'topic/' || new.aggregatetype
    where dozen_head.position > 17592186044415 or stream > 524287;

    insert into dozen_entry (place, id, kind, key, at, attributes, data)
    select
        (stream << 44) | dozen_head.position,
        -- A UUID takes 16 bytes: in its canonical form each is cut out of the list of all bytes, and one that is made here
        -- (version 4) is put together from random ones. What || gives is text to SQLite, whatever its bytes are, and the
        -- cast leaves them as they are.
        case
        when new.id is null then cast(
            randomblob(6) || substr(x'404142434445464748494a4b4c4d4e4f', 1 + (random() & 15), 1) || randomblob(1)
            || substr(x'808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f', 1 + (random() & 31), 1)
            || randomblob(7) as blob)
        when typeof(new.id) = 'blob' then new.id
        when new.id glob '????????-????-????-????-????????????' and length(replace(new.id, '-', '')) = 32
             and replace(new.id, '-', '') not glob '*[^0-9a-f]*' then (
            select cast(
                substr(b, instr(d, substr(h, 1, 1)) * 16 + instr(d, substr(h, 2, 1)) - 16, 1)
                || substr(b, instr(d, substr(h, 3, 1)) * 16 + instr(d, substr(h, 4, 1)) - 16, 1)
                || substr(b, instr(d, substr(h, 5, 1)) * 16 + instr(d, substr(h, 6, 1)) - 16, 1)
                || substr(b, instr(d, substr(h, 7, 1)) * 16 + instr(d, substr(h, 8, 1)) - 16, 1)
                || substr(b, instr(d, substr(h, 9, 1)) * 16 + instr(d, substr(h, 10, 1)) - 16, 1)
                || substr(b, instr(d, substr(h, 11, 1)) * 16 + instr(d, substr(h, 12, 1)) - 16, 1)
                || substr(b, instr(d, substr(h, 13, 1)) * 16 + instr(d, substr(h, 14, 1)) - 16, 1)
                || substr(b, instr(d, substr(h, 15, 1)) * 16 + instr(d, substr(h, 16, 1)) - 16, 1)
                || substr(b, instr(d, substr(h, 17, 1)) * 16 + instr(d, substr(h, 18, 1)) - 16, 1)
                || substr(b, instr(d, substr(h, 19, 1)) * 16 + instr(d, substr(h, 20, 1)) - 16, 1)
                || substr(b, instr(d, substr(h, 21, 1)) * 16 + instr(d, substr(h, 22, 1)) - 16, 1)
                || substr(b, instr(d, substr(h, 23, 1)) * 16 + instr(d, substr(h, 24, 1)) - 16, 1)
                || substr(b, instr(d, substr(h, 25, 1)) * 16 + instr(d, substr(h, 26, 1)) - 16, 1)
                || substr(b, instr(d, substr(h, 27, 1)) * 16 + instr(d, substr(h, 28, 1)) - 16, 1)
                || substr(b, instr(d, substr(h, 29, 1)) * 16 + instr(d, substr(h, 30, 1)) - 16, 1)
                || substr(b, instr(d, substr(h, 31, 1)) * 16 + instr(d, substr(h, 32, 1)) - 16, 1) as blob)
            from (select replace(new.id, '-', '') as h, '0123456789abcdef' as d,
                cast(x'000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f'
                || x'303132333435363738393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f'
                || x'606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f808182838485868788898a8b8c8d8e8f'
                || x'909192939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf'
                || x'c0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeef'
                || x'f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff' as blob)
                as b))
        else cast(new.id as text) end,
        cast(new.type as text),
        coalesce(
            nullif(cast(new.aggregateid as text), ''),
            json_extract(ifnull(new.headers, '{}'), '$.dozenkey'),
            -- The member that the topic's settings name, as for every other publisher.
            case when json_valid(cast(new.payload as text)) then (
                select case when json_type(cast(new.payload as text), path) in ('text', 'integer', 'real')
                       then cast(json_extract(cast(new.payload as text), path) as text) end
                from (select '$."' || json_extract(cast(value as text), '$.key') || '"' as path))
            end),
        cast(strftime('%s', 'now') as integer) * 1000000 + cast(substr(strftime('%f', 'now'), 4) as integer) * 1000,
        json_patch(
            json_patch('{}', json_object('source', '/outbox', 'time', strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), 'datacontenttype',
                case when typeof(new.payload) <> 'blob' then null
                     when instr(new.payload, x'00') = 0 and json_valid(cast(new.payload as text)) then null
                     else 'application/octet-stream' end)),
            json_remove(ifnull(new.headers, '{}'), '$.id', '$.type', '$.specversion', '$.dozenkey')),
        cast(ifnull(new.payload, '') as blob)
    from dozen_head
        join dozen_stream on name = 'topic/' || new.aggregatetype
        join dozen_record on space = 'topic' and dozen_record.key = new.aggregatetype;

    update dozen_stream
    set appended = appended + 1, position = (select position from dozen_head),
        bytes = bytes + length(cast(ifnull(new.payload, '') as blob))
    where name = 'topic/' || new.aggregatetype;
end;
