-- The door of the outbox: what a program inserts there is looked at in its own transaction, and refused while it can still be
-- mended. What it lets in, and what it makes of it, is the same as on SQLite (`outbox.sql` there), and so are the words; here
-- they also name the topic, the limit and the size.

-- Whether this is a moment of RFC 3339.
create or replace function dozen.is_moment(p_text text) returns boolean language plpgsql stable as $$
begin
    return p_text ~ ('^[0-9]{4}-[01][0-9]-[0-3][0-9]T([01][0-9]|2[0-3]):[0-5][0-9]:[0-6][0-9]'
                     || '([.][0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})$')
        and p_text::timestamptz is not null;
exception when data_exception then
    return false;
end $$;

-- The JSON that these bytes hold; null where they hold none.
create or replace function dozen.json_in(p_data bytea) returns jsonb language plpgsql immutable as $$
begin
    return convert_from(p_data, 'UTF8')::jsonb;
exception when data_exception or program_limit_exceeded then
    return null;
end $$;

-- Refuses the row, or completes it. It reads the settings with the rights of the store's owner: who inserts needs none but to
-- insert.
create or replace function dozen.admit() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    v_headers  jsonb := coalesce(new.headers, '{}');
    v_json     jsonb := new.payload;
    v_settings record;
    v_type     text;
    v_size     bigint;
    v_member   text;
    v_wrong    text;
begin
    -- As json: what it holds besides, a schema perhaps, is only passed over.
    select s.* into v_settings
    from dozen.record r, json_to_record(convert_from(r.value, 'UTF8')::json) s (bytes_max numeric, key text, sealed boolean)
    where r.space = 'topic' and r.key = new.aggregatetype;
    if not found then
        raise check_violation using message = format(
            'outbox: aggregatetype names no declared topic; correct it, or declare the topic in the file of `dozen up`: '
            'there is no topic `%s`', left(new.aggregatetype, 200));
    end if;
    if coalesce(new.type, '') = '' then
        raise check_violation using message = 'outbox: type is missing; it says what happened, for example order.placed';
    end if;
    if new.id = '' then
        raise check_violation using message = 'outbox: id must be text, or a UUID, or null for one that is made here';
    end if;
    if jsonb_typeof(v_headers) <> 'object' then
        raise check_violation using message = 'outbox: headers must be one JSON object, for example {"subject":"o-7"}';
    end if;
    select h.key into v_wrong from jsonb_each(v_headers) h
    where h.key !~ '^[a-z0-9]+$'
       or jsonb_typeof(h.value) in ('object', 'array')
       or (h.key = 'source' and (jsonb_typeof(h.value) <> 'string' or h.value = '""'))
       or (h.key in ('subject', 'datacontenttype', 'dataschema', 'time') and jsonb_typeof(h.value) not in ('string', 'null'))
       or (h.key = 'time' and jsonb_typeof(h.value) = 'string' and not dozen.is_moment(h.value #>> '{}'))
    limit 1;
    if v_wrong !~ '^[a-z0-9]+$' then
        raise check_violation using message = format(
            'outbox: a name in headers is no attribute of CloudEvents, which have lower-case letters and digits only: `%s`',
            left(v_wrong, 200));
    elsif v_wrong is not null then
        raise check_violation using message = format(
            'outbox: a value in headers is not what CloudEvents allow: no objects or arrays; text for source, subject, '
            'datacontenttype and dataschema; RFC 3339 for time: that of `%s`', left(v_wrong, 200));
    end if;
    v_size := coalesce(octet_length(new.data), octet_length(new.payload::text), 0);
    if v_size > v_settings.bytes_max then
        raise check_violation using message = format(
            'outbox: payload is larger than the topic takes; raise bytes-max of the topic, or send a reference: '
            'topic `%s` takes %s bytes, and it has %s', new.aggregatetype, v_settings.bytes_max, v_size);
    end if;
    if v_settings.sealed and v_headers ->> 'dozensealed' is null then
        raise check_violation using message = format(
            'outbox: the topic is sealed, and SQL has no keys; publish with the library or a sidecar: topic `%s`',
            new.aggregatetype);
    end if;

    v_type := lower(btrim(split_part(v_headers ->> 'datacontenttype', ';', 1)));
    new.id := coalesce(new.id, gen_random_uuid()::text);
    new.aggregateid := coalesce(nullif(new.aggregateid, ''), nullif(v_headers ->> 'dozenkey', ''));
    v_member := case when new.aggregateid is null then v_settings.key end;
    if v_type not in ('application/json', 'text/json') and v_type not like '%+json' then
        v_json := null;
    elsif new.data is not null then
        v_json := case when v_type is null or v_member is not null then dozen.json_in(new.data) end;
    end if;
    if v_member is not null then
        -- The attribute, or the member of a JSON payload, that the topic's settings name, as for every other publisher.
        new.aggregateid := coalesce(
            case when v_member not in ('id', 'source', 'type', 'specversion', 'time', 'datacontenttype', 'dataschema')
                 then v_headers ->> v_member end,
            case when jsonb_typeof(v_json -> v_member) in ('string', 'number') then v_json ->> v_member end);
    end if;
    new.headers := jsonb_strip_nulls(
        jsonb_build_object(
            'source', '/outbox/' || new.aggregatetype,
            'time', to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
            'datacontenttype', case when octet_length(new.data) > 0 and v_json is null then 'application/octet-stream' end)
        || v_headers) - '{id,type,specversion,dozenkey}'::text[];
    return new;
end $$;

do $$
begin
    if not exists (select from pg_trigger where tgrelid = 'dozen.outbox'::regclass and tgname = 'admit') then
        -- Waits for those who have inserted and not committed, and others wait behind it: so not for long.
        perform set_config('lock_timeout', '10s', true);
        create trigger admit before insert on dozen.outbox for each row
            when (new.admitted is not true) execute function dozen.admit();
    end if;
end $$;
