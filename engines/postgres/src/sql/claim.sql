-- How messages are handed out. One claim of a reader at a time: a lock of the reader, held for no longer than the claim,
-- which is not synced. Settlements do not take it; what they share with a claim is stated at each place.

-- When something of a reader that has got nothing becomes due.
create or replace function dozen.next_due(p_stream bigint, p_reader bigint, p_now bigint, p_left boolean) returns bigint
language plpgsql stable as $$
declare
    v_due   bigint := least(
        (select due from dozen.claim where reader = p_reader and state = 0 order by due limit 1),
        (select due from dozen.claim where reader = p_reader and state = 1 order by due limit 1));
    v_batch dozen.batch;
    v_seen  integer := 0;
begin
    for v_batch in select * from dozen.batch where reader = p_reader and until > p_now order by until limit 8 loop
        v_seen := v_seen + 1;
        -- Who has looked at many that are settled may as well come again for the rest.
        if v_seen = 8 or dozen.is_open(p_stream, v_batch) then
            return least(v_due, v_batch.until);
        end if;
    end loop;
    if v_due is null and not p_left then
        return null;
    end if;
    -- What is due and was not given is in the hands of a settlement that has yet to commit.
    return greatest(v_due, p_now + 20000);
end $$;

-- One row for each message, and a last one without: when to look again, and the reader's number.
create or replace function dozen.claim(
    p_stream bigint, p_name text, p_limit integer, p_now bigint, p_lease bigint, p_per_key integer,
    p_after bigint, p_sifted bigint[], p_wanted boolean[], p_alone boolean
) returns table (
    "position" bigint, fence bigint, attempts integer, at bigint,
    id text, kind text, key text, attributes text, data bytea, due bigint
) language plpgsql as $$
#variable_conflict use_column
declare
    v_reader  dozen.reader;
    v_batch   dozen.batch;
    v_old     dozen.batch;
    v_number  bigint;
    v_fence   bigint;
    v_until   constant bigint := p_now + p_lease;
    v_after   bigint;
    v_watched bigint;
    v_seen    integer := 0;
    v_odd     boolean;
    v_left    boolean;
    v_due     bigint[];
    v_tries   integer[];
    v_room    integer := p_limit;
    v_scanned bigint := 0;
    v_keyed   integer := 0;
    v_plain   bigint[] := '{}';
    v_last    bigint;
    v_ordinal bigint;
    v_special boolean;
    v_entry   record;
begin
    -- Such a lease may be lost with the machine's power; nothing else in its transaction may.
    if p_alone then
        perform set_config('synchronous_commit', 'off', true);
        perform set_config('lock_timeout', '10s', true);
    end if;
    perform pg_advisory_xact_lock({lock} + 1, hashtext(p_stream || '/' || p_name));
    select * into v_reader from dozen.reader r where r.stream = p_stream and r.name = p_name;
    if not found then
        raise exception using errcode = 'DZ001', message = 'no such reader';
    end if;
    if v_reader.paused then
        return next;
        return;
    end if;
    -- Drawn under the lock, so that the newest batch has the highest number.
    v_number := nextval('dozen.fence');
    -- A crash may take back the last numbers with the leases that they were given for. The rest of a fence is chance, so
    -- that none is given twice.
    v_fence := v_number * {spread} + floor(random() * {spread})::bigint;
    if v_number % {often} = 0 then
        perform dozen.make_room('batch', v_fence);
    end if;

    select * into v_batch from dozen.batch b where b.reader = v_reader.reader order by b.fence desc limit 1;
    if not found then
        v_batch.position := v_reader.position;
        v_batch.ordinal := v_reader.ordinal;
        v_batch.claimed := v_reader.claimed;
        v_batch.watched := v_reader.watched;
    end if;
    v_watched := v_batch.watched;
    if v_batch.claimed > p_now + {clock_slack} then
        perform dozen.follow_clock(p_stream, v_reader.reader, p_now);
        v_watched := least(v_watched, p_now - 1);
        v_seen := {note_after};
    end if;
    -- Most readers have nothing out of the ordinary, and then there is nothing to look for.
    v_odd := exists (select from dozen.claim c where c.reader = v_reader.reader);
    if v_odd then
        perform dozen.sweep(p_stream, v_reader.reader, p_now);
    end if;

    -- Batches whose lease has ended: what is open of them becomes due.
    for v_old in
        select * from dozen.batch b where b.reader = v_reader.reader and b.until > v_watched and b.until <= p_now
        order by b.until fetch first 256 rows with ties
    loop
        v_seen := v_seen + 1;
        if dozen.single_out_all(p_stream, v_old, v_old.until, v_old.claimed) and v_last is null then
            v_watched := v_old.until;
        else
            v_last := coalesce(v_last, v_old.until);
        end if;
    end loop;
    if v_last is not null then
        v_watched := least(v_watched, v_last - 1);
    end if;
    v_left := v_last is not null or v_seen >= 256;

    v_odd := v_odd or v_seen > 0;

    -- What is due: retries, delays, leases that have ended. Locked first and looked at then, because a settlement locks the
    -- claim, inserts its receipt, and may have committed in between.
    if v_odd then
        v_due := array(
            select c.position from dozen.claim c
            where c.reader = v_reader.reader and (c.state, c.position) in (
                select * from (select x.state, x.position from dozen.claim x
                               where x.reader = v_reader.reader and x.state = 0 and x.due <= p_now
                               order by x.due, x.position limit p_limit) leased
                union all
                select * from (select x.state, x.position from dozen.claim x
                               where x.reader = v_reader.reader and x.state = 1 and x.due <= p_now
                               order by x.due, x.position limit p_limit) waiting)
            order by c.due, c.position limit p_limit
            for update skip locked);
    end if;
    if cardinality(v_due) > 0 then
        with again as (
            update dozen.claim c
            set state = 0, due = v_until, attempts = c.attempts + 1, fence = v_fence, claimed = p_now,
                errors = case when c.state = 0
                              then dozen.remember(c.errors, c.claimed, p_now, 'its lease ended before it was settled')
                              else c.errors end
            where c.reader = v_reader.reader and c.position = any(v_due)
              and not exists (select from dozen.done d
                              where d.reader = c.reader and d.position = c.position and d.state < 20)
            returning c.position, c.attempts)
        select array_agg(a.position order by array_position(v_due, a.position)),
               array_agg(a.attempts order by array_position(v_due, a.position))
        into v_due, v_tries from again a;
        v_room := v_room - coalesce(cardinality(v_due), 0);
        return query
        select e.position, v_fence, v_tries[u.n], e.at, e.id, coalesce(x.kind, e.kind), e.key,
               coalesce(x.attributes, e.attributes), coalesce(x.data, case when e.outbox is null then e.data else dozen.outbox_data(e.outbox) end), null::bigint
        from unnest(v_due) with ordinality u (position, n)
        join dozen.entry e on e.stream = p_stream and e.position = u.position
        left join dozen.edit x on x.reader = v_reader.reader and x.position = u.position
        order by u.n;
        -- An entry that is gone, which only a hand on the tables can bring about, must not come back for ever.
        insert into dozen.done (reader, position, state, attempts, claimed, ended)
        select v_reader.reader, u.position, 11, 0, p_now, p_now from unnest(v_due) u (position)
        where not exists (select from dozen.entry e where e.stream = p_stream and e.position = u.position)
        on conflict (reader, position) do update set state = 11;
    end if;

    -- New entries, from where the reader stands.
    v_after := v_batch.position;
    v_last := v_after;
    v_ordinal := v_batch.ordinal;
    if v_room > 0 and p_sifted is null then
        select count(*), coalesce(max(e.position), v_last), coalesce(max(e.ordinal), v_ordinal), bool_or(e.special)
        into v_scanned, v_last, v_ordinal, v_special
        from (select x.position, x.ordinal, x.key is not null or coalesce(x.due > p_now, false) as special
              from dozen.entry x where x.stream = p_stream and x.position > v_after
              order by x.position limit least(v_room, {scan_max})) e;
    end if;
    if v_room > 0 and (v_special or v_batch.position >= p_after) then
        v_scanned := 0;
        v_last := v_after;
        v_ordinal := v_batch.ordinal;
        for v_entry in
            select x.position, x.ordinal, x.key, x.due, x.position is not null as there, true as wanted, x.position as at
            from (select e.position, e.ordinal, e.key, e.due from dozen.entry e
                  where p_sifted is null and e.stream = p_stream and e.position > v_after
                  order by e.position limit {scan_max}) x
            union all
            select e.position, e.ordinal, e.key, e.due, e.position is not null, s.wanted, s.position
            from (select u.position, u.wanted from unnest(p_sifted, p_wanted) u (position, wanted)
                  where u.position > v_after order by u.position limit {scan_max}) s
            left join dozen.entry e on e.stream = p_stream and e.position = s.position
            order by at
        loop
            exit when v_keyed + cardinality(v_plain) >= v_room;
            v_scanned := v_scanned + 1;
            v_last := v_entry.at;
            v_ordinal := coalesce(v_entry.ordinal, v_ordinal);
            continue when not v_entry.there or not v_entry.wanted;
            if v_entry.key is not null and dozen.is_full(v_reader.reader, v_entry.key, p_per_key) then
                insert into dozen.claim (reader, position, state, attempts, fence, key)
                values (v_reader.reader, v_entry.position, 2, 0, 0, v_entry.key);
            elsif v_entry.due > p_now then
                insert into dozen.claim (reader, position, state, due, attempts, fence, key)
                values (v_reader.reader, v_entry.position, 1, v_entry.due, 0, 0, v_entry.key);
            elsif v_entry.key is not null then
                insert into dozen.claim (reader, position, state, due, attempts, fence, claimed, key)
                values (v_reader.reader, v_entry.position, 0, v_until, 1, v_fence, p_now, v_entry.key);
                v_keyed := v_keyed + 1;
            else
                v_plain := v_plain || v_entry.position;
            end if;
        end loop;
    end if;

    if v_scanned > 0 or v_seen >= {note_after} then
        insert into dozen.batch (reader, fence, after, position, ordinal, claimed, until, watched, leased, positions)
        values (v_reader.reader, v_fence, v_after, v_last, v_ordinal, p_now, v_until, v_watched,
                case when v_special is false then v_scanned else cardinality(v_plain) end,
                case when v_special is false then null else v_plain end);
    end if;
    if v_special is false then
        return query
        select e.position, v_fence, 1, e.at, e.id, e.kind, e.key, e.attributes, case when e.outbox is null then e.data else dozen.outbox_data(e.outbox) end, null::bigint
        from dozen.entry e where e.stream = p_stream and e.position > v_after and e.position <= v_last order by e.position;
    elsif v_scanned > 0 then
        return query
        select e.position, v_fence, 1, e.at, e.id, e.kind, e.key, e.attributes, case when e.outbox is null then e.data else dozen.outbox_data(e.outbox) end, null::bigint
        from dozen.entry e
        where e.stream = p_stream and e.position > v_after and e.position <= v_last
          and (e.position = any(v_plain) or exists (
              select from dozen.claim c
              where c.reader = v_reader.reader and c.position = e.position and c.fence = v_fence and c.state = 0))
        order by e.position;
    end if;

    "position" := null;
    if v_room = p_limit and v_keyed = 0 and cardinality(v_plain) = 0 and v_special is distinct from false then
        -- Nothing of this stretch could be handed out, and there may be more: come again at once.
        due := case when v_scanned = {scan_max} then p_now else dozen.next_due(p_stream, v_reader.reader, p_now, v_left) end;
    end if;
    return next;
end $$;
