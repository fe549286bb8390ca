-- What can be asked. Each function is stable, and so answers from one snapshot: that of the statement that calls it.

create or replace function dozen.read_entries(p_stream text, p_after bigint, p_limit integer, p_tail boolean)
returns table ("position" bigint, at bigint, due bigint, id text, kind text, key text, attributes text, data bytea)
language plpgsql stable as $$
#variable_conflict use_column
declare
    v_stream dozen.stream;
begin
    select * into v_stream from dozen.stream s where s.name = p_stream;
    if p_tail then
        return query
        select e.position, e.at, e.due, e.id, e.kind, e.key, e.attributes, case when e.outbox is null then e.data else dozen.outbox_data(e.outbox) end
        from dozen.entry e where e.stream = v_stream.stream and e.position > v_stream.floor
        order by e.position desc limit p_limit;
    else
        return query
        select e.position, e.at, e.due, e.id, e.kind, e.key, e.attributes, case when e.outbox is null then e.data else dozen.outbox_data(e.outbox) end
        from dozen.entry e where e.stream = v_stream.stream and e.position > greatest(v_stream.floor, p_after)
        order by e.position limit p_limit;
    end if;
end $$;

-- A stream that nobody appended to or reads is none.
create or replace function dozen.streams(p_prefix text)
returns table (name text, appended bigint, "position" bigint, bytes bigint) language sql stable as $$
    select s.name, e.o_ordinal, e.o_position, e.o_volume - s.floor_volume - s.compacted
    from dozen.stream s, dozen.end_of(s.stream) e
    where starts_with(s.name, p_prefix)
      and (e.o_ordinal > 0 or exists (select from dozen.reader r where r.stream = s.stream))
    order by s.name
$$;

-- Where a reader stands.
create or replace function dozen.stand(p_reader dozen.reader) returns dozen.batch language plpgsql stable as $$
declare
    v_batch dozen.batch;
begin
    select * into v_batch from dozen.batch b where b.reader = p_reader.reader order by b.fence desc limit 1;
    if not found then
        v_batch.position := p_reader.position;
        v_batch.ordinal := p_reader.ordinal;
        v_batch.watched := p_reader.watched;
    end if;
    return v_batch;
end $$;

create or replace function dozen.standing_of(p_stream text, p_reader text) returns setof bigint language sql stable as $$
    select (dozen.stand(r)).position from dozen.reader r join dozen.stream s using (stream)
    where s.name = p_stream and r.name = p_reader
$$;

-- What a reader has in hand, one row for each message that has a claim of its own. A message that is held, but let go by
-- one that ended since the last claim, is shown as waiting: the next claim will see to it.
create or replace function dozen.open_claims(p_stream bigint, p_reader bigint, p_state integer, p_after bigint, p_limit integer)
returns setof dozen.claim language plpgsql stable as $$
declare
    v_claim dozen.claim;
    v_freed integer;
    v_count integer := 0;
begin
    for v_claim in
        select * from dozen.claim c
        where c.reader = p_reader and c.position > p_after
          and (c.state = p_state or (p_state = 1 and c.state = 2))
        order by c.position
    loop
        if v_claim.state = 0 then
            continue when exists (
                select from dozen.done d where d.reader = p_reader and d.position = v_claim.position and d.state < 20);
        elsif v_claim.state = 2 then
            select count(*) into v_freed from dozen.claim c
            where c.reader = p_reader and c.key = v_claim.key and c.state = 0 and exists (
                select from dozen.done d where d.reader = p_reader and d.position = c.position and d.state < 20);
            if v_freed > 0 and not exists (
                   select from dozen.claim c where c.reader = p_reader and c.key = v_claim.key and c.state = 3)
               and v_freed > (
                   select count(*) from (
                       select from dozen.claim c
                       where c.reader = p_reader and c.key = v_claim.key and c.state = 2 and c.position < v_claim.position
                       order by c.position limit v_freed) before)
            then
                v_claim.state := 1;
                v_claim.due := coalesce((
                    select e.due from dozen.entry e where e.stream = p_stream and e.position = v_claim.position), 0);
            end if;
        end if;
        continue when v_claim.state <> p_state;
        return next v_claim;
        v_count := v_count + 1;
        exit when v_count >= p_limit;
    end loop;
end $$;

-- What is leased with its batch, one row for each message.
create or replace function dozen.open_leases(p_stream bigint, p_reader dozen.reader, p_after bigint)
returns table ("position" bigint, due bigint, fence bigint, claimed bigint) language sql stable as $$
    select o, b.until, b.fence, b.claimed
    from dozen.batch b, dozen.open_of(p_stream, b) o
    where b.reader = p_reader.reader and b.until > (dozen.stand(p_reader)).watched and b.position > p_after and o > p_after
$$;

-- Claims of a reader in one state, with what it sees of the entries.
create or replace function dozen.claims(p_stream text, p_reader text, p_state integer, p_after bigint, p_limit integer)
returns table (
    "position" bigint, state integer, attempts integer, due bigint, claimed bigint, ended bigint, key text, errors text,
    edited boolean, there boolean, at bigint, entry_due bigint, id text, kind text, attributes text, data bytea
) language plpgsql stable as $$
#variable_conflict use_column
declare
    v_stream dozen.stream;
    v_reader dozen.reader;
begin
    select * into v_stream from dozen.stream s where s.name = p_stream;
    select * into v_reader from dozen.reader r where r.stream = v_stream.stream and r.name = p_reader;
    return query
    with told as (
        select c.position, c.state::integer, c.attempts, c.due, c.claimed, c.ended, c.errors
        from dozen.open_claims(v_stream.stream, v_reader.reader, p_state, p_after, p_limit) c where p_state < 10
        union all
        select l.position, 0, 1, l.due, l.claimed, null, null
        from dozen.open_leases(v_stream.stream, v_reader, p_after) l where p_state = 0
        union all
        (select d.position, d.state::integer, d.attempts, null, d.claimed, d.ended, d.errors
         from dozen.done d
         where p_state >= 10 and d.reader = v_reader.reader and d.state = p_state
           and d.position > greatest(p_after, v_stream.floor)
         order by d.position limit p_limit))
    select t.position, t.state, t.attempts, t.due, t.claimed, t.ended, e.key, t.errors::text,
           x.reader is not null, e.position is not null, e.at, e.due, e.id, coalesce(x.kind, e.kind),
           coalesce(x.attributes, e.attributes), coalesce(x.data, case when e.outbox is null then e.data else dozen.outbox_data(e.outbox) end)
    from told t
    left join dozen.entry e on e.stream = v_stream.stream and e.position = t.position
    left join dozen.edit x on x.reader = v_reader.reader and x.position = t.position
    order by t.position limit p_limit;
end $$;

-- Readers of streams, with what is before them.
create or replace function dozen.readers(p_prefix text)
returns table (
    stream text, reader text, "position" bigint, fresh bigint, leased bigint, waiting bigint, held bigint, parked bigint,
    parked_keys bigint, oldest bigint, paused boolean
) language plpgsql stable as $$
#variable_conflict use_column
declare
    v_pair   record;
    v_reader dozen.reader;
    v_stream dozen.stream;
    v_stand  dozen.batch;
    v_plain  record;
    v_freed  bigint;
    v_first  bigint;
begin
    for v_pair in
        select s as stream, r as reader from dozen.stream s join dozen.reader r using (stream)
        where starts_with(s.name, p_prefix) order by s.name, r.name
    loop
        v_stream := v_pair.stream;
        v_reader := v_pair.reader;
        stream := v_stream.name;
        reader := v_reader.name;
        paused := v_reader.paused;
        v_stand := dozen.stand(v_reader);
        "position" := v_stand.position;
        select greatest(e.o_ordinal - v_stand.ordinal, 0) into fresh from dozen.end_of(v_stream.stream) e;
        select count(*) filter (where c.state = 0), count(*) filter (where c.state = 1), count(*) filter (where c.state = 2),
               count(*) filter (where c.state = 3), count(distinct c.key) filter (where c.state = 3),
               min(c.position) filter (where c.state < 3)
        into leased, waiting, held, parked, parked_keys, v_first
        from dozen.claim c
        where c.reader = v_reader.reader and not (c.state = 0 and exists (
            select from dozen.done d where d.reader = c.reader and d.position = c.position and d.state < 20));
        -- Held, but let go by one that ended since the last claim.
        select coalesce(sum(least(freed.n, (
            select count(*) from dozen.claim h
            where h.reader = v_reader.reader and h.key = freed.key and h.state = 2))), 0) into v_freed
        from (select c.key, count(*) as n from dozen.claim c
              where c.reader = v_reader.reader and c.state = 0 and c.key is not null and exists (
                  select from dozen.done d where d.reader = c.reader and d.position = c.position and d.state < 20)
              group by c.key) freed
        where not exists (
            select from dozen.claim p where p.reader = v_reader.reader and p.key = freed.key and p.state = 3);
        waiting := waiting + v_freed;
        held := held - v_freed;
        select count(*) as n, min(l.position) as first into v_plain
        from dozen.open_leases(v_stream.stream, v_reader, 0) l;
        leased := leased + v_plain.n;
        v_first := least(v_first, v_plain.first);
        select e.at into oldest from dozen.entry e
        where e.stream = v_stream.stream and e.position = v_first;
        if v_first is null and fresh > 0 then
            select e.at into oldest from dozen.entry e
            where e.stream = v_stream.stream and e.position > greatest(v_stand.position, v_stream.floor)
            order by e.position limit 1;
        end if;
        return next;
    end loop;
end $$;

-- A message in every stream that it is in, with what each reader has made of it: one row for each reader, or one.
create or replace function dozen.find(p_id text)
returns table (
    stream text, "position" bigint, at bigint, entry_due bigint, id text, kind text, key text, attributes text, data bytea,
    reader text, state integer, attempts integer, due bigint, claimed bigint, ended bigint, errors text, edited boolean
) language plpgsql stable as $$
#variable_conflict use_column
declare
    v_entry  record;
    v_reader dozen.reader;
    v_claim  record;
begin
    for v_entry in
        select e.*, s.name, case when e.outbox is null then e.data else dozen.outbox_data(e.outbox) end as payload
        from dozen.entry e join dozen.stream s using (stream)
        where e.id = p_id and e.position > s.floor order by e.position limit 100
    loop
        stream := v_entry.name;
        "position" := v_entry.position;
        at := v_entry.at;
        entry_due := v_entry.due;
        id := v_entry.id;
        kind := v_entry.kind;
        key := v_entry.key;
        attributes := v_entry.attributes;
        data := v_entry.payload;
        reader := null;
        for v_reader in select * from dozen.reader r where r.stream = v_entry.stream order by r.name limit 10000 loop
            reader := v_reader.name;
            select t.* into v_claim from (
                select d.state::integer, d.attempts, null::bigint as due, d.claimed, d.ended, d.errors from dozen.done d
                where d.reader = v_reader.reader and d.position = v_entry.position and d.state < 20
                union all
                select s.n, c.attempts, c.due, c.claimed, c.ended, c.errors
                from generate_series(0, 3) s (n),
                     dozen.open_claims(v_entry.stream, v_reader.reader, s.n, v_entry.position - 1, 1) c
                where c.position = v_entry.position
                union all
                select 0, 1, l.due, l.claimed, null, null
                from dozen.open_leases(v_entry.stream, v_reader, v_entry.position - 1) l
                where l.position = v_entry.position) t
            limit 1;
            state := v_claim.state;
            attempts := v_claim.attempts;
            due := v_claim.due;
            claimed := v_claim.claimed;
            ended := v_claim.ended;
            errors := v_claim.errors::text;
            edited := exists (select from dozen.edit x where x.reader = v_reader.reader and x.position = v_entry.position);
            return next;
        end loop;
        if reader is null then
            return next;
        end if;
    end loop;
end $$;

-- For people.
create or replace view dozen.journal as
    select e.position, s.name as stream, e.id, e.kind, e.key, to_timestamp(e.at / 1e6) as at, e.attributes,
           case when e.outbox is null then e.data else dozen.outbox_data(e.outbox) end as data
    from dozen.entry e join dozen.stream s using (stream) where e.position > s.floor;

-- What may have changed since the last look, for those whom no hint has reached.
create or replace function dozen.look(out o_position bigint, out o_change bigint, out o_outbox bigint)
language sql stable as $$
    -- A sequence that nobody has used says the same as one that was used once, but for `is_called`.
    select p.last_value, c.last_value + c.is_called::integer, o.last_value + o.is_called::integer
    from dozen.position p, dozen.change c, dozen.outbox_seq o
$$;

create or replace function dozen.tell(p_channel text, p_names text) returns void language plpgsql as $$
begin
    perform set_config('synchronous_commit', 'off', true);
    perform pg_notify(p_channel, p_names);
end $$;
