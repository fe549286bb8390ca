-- Positions are given here and nowhere else: under one lock, which is held until the commit is visible. So the order of
-- positions is the order in which entries become visible, and who reads on from a position steps over nothing.

-- The payload of a row of the outbox, as bytes.
create or replace function dozen.payload_of(p_payload jsonb, p_data bytea) returns bytea language sql immutable as $$
    select coalesce(p_data, convert_to(p_payload::text, 'UTF8'), ''::bytea)
$$;

-- The payload of an entry that stands in the outbox.
create or replace function dozen.outbox_data(p_outbox bigint) returns bytea language sql stable as $$
    select dozen.payload_of(o.payload, o.data) from dozen.outbox o where o.seq = p_outbox
$$;

-- Makes the segments of a table up to the one that holds `p_upto`, and the next.
create or replace function dozen.extend(p_table text, p_upto bigint, p_size bigint) returns void language plpgsql as $$
declare
    v_last bigint := (select value::bigint from dozen.meta where name = 'segment-' || p_table);
begin
    while v_last < p_upto / p_size + 1 loop
        v_last := v_last + 1;
        -- Attached, not made in place: that would wait for everybody who uses the table, and they for it.
        execute format('create table dozen.%I (like dozen.%I including defaults including constraints)',
                       p_table || '_' || v_last, p_table);
        execute format('alter table dozen.%I attach partition dozen.%I for values from (%s) to (%s)',
                       p_table, p_table || '_' || v_last, v_last * p_size, (v_last + 1) * p_size);
        update dozen.meta set value = v_last::text where name = 'segment-' || p_table;
    end loop;
end $$;

-- Makes room for what is numbered up to `p_upto`.
create or replace function dozen.make_room(p_table text, p_upto bigint) returns void language plpgsql as $$
begin
    perform pg_advisory_xact_lock({lock}, 2);
    perform dozen.extend(p_table, p_upto,
        (select value::bigint from dozen.meta where name = 'segment-size') * case p_table when 'batch' then {spread} else 1 end);
end $$;

-- Takes the lock under which positions are given, and gives the last position.
create or replace function dozen.head(p_count bigint) returns bigint language plpgsql as $$
declare
    v_head bigint;
    v_size constant bigint := (select value::bigint from dozen.meta where name = 'segment-size');
begin
    perform set_config('lock_timeout', '10s', true);
    perform pg_advisory_xact_lock({lock}, 0);
    select last_value into v_head from dozen.position;
    perform setval('dozen.position', v_head + p_count);
    -- On the way into the last segment that there is, the next one is made.
    if v_head = 0 or v_head / v_size <> (v_head + p_count) / v_size then
        perform dozen.extend('entry', v_head + p_count, v_size);
        perform dozen.extend('done', v_head + p_count, v_size);
    end if;
    return v_head;
end $$;

-- Where a stream ends: how many entries and bytes it has had.
create or replace function dozen.end_of(p_stream bigint, out o_position bigint, out o_ordinal bigint, out o_volume bigint)
language plpgsql stable as $$
begin
    select e.position, e.ordinal, e.volume into o_position, o_ordinal, o_volume
    from dozen.entry e where e.stream = p_stream order by e.position desc limit 1;
    if not found then
        select s.floor, s.floor_ordinal, s.floor_volume into o_position, o_ordinal, o_volume
        from dozen.stream s where s.stream = p_stream;
    end if;
end $$;

-- Appends messages. `p_of` says for each which of `p_streams` it is for, `p_nth` and `p_through` how many messages and bytes
-- of this call that stream has with it. Gives the position before the first.
create or replace function dozen.append(
    p_streams bigint[], p_of integer[], p_nth integer[], p_through bigint[], p_at bigint[], p_due bigint[], p_size integer[],
    p_id text[], p_kind text[], p_key text[], p_attributes text[], p_data bytea[]
) returns bigint language plpgsql as $$
declare
    v_head     bigint := dozen.head(cardinality(p_id));
    v_ordinals bigint[] := '{}';
    v_volumes  bigint[] := '{}';
    v_stream   bigint;
    v_end      record;
begin
    foreach v_stream in array p_streams loop
        v_end := dozen.end_of(v_stream);
        v_ordinals := v_ordinals || v_end.o_ordinal;
        v_volumes := v_volumes || v_end.o_volume;
    end loop;
    insert into dozen.entry (stream, position, ordinal, volume, at, due, size, id, kind, key, attributes, data)
    select p_streams[u.of], v_head + u.n, v_ordinals[u.of] + u.nth, v_volumes[u.of] + u.through, u.at, u.due, u.size,
           u.id, u.kind, u.key, u.attributes, u.data
    from unnest(p_of, p_nth, p_through, p_at, p_due, p_size, p_id, p_kind, p_key, p_attributes, p_data)
         with ordinality u (of, nth, through, at, due, size, id, kind, key, attributes, data, n);
    return v_head;
end $$;

-- The number of a stream, made if it is new.
create or replace function dozen.stream_number(p_name text) returns bigint language plpgsql as $$
declare
    v_stream bigint;
begin
    select stream into v_stream from dozen.stream where name = p_name;
    if not found then
        insert into dozen.stream (name) values (p_name) on conflict do nothing;
        select stream into v_stream from dozen.stream where name = p_name;
    end if;
    return v_stream;
end $$;
