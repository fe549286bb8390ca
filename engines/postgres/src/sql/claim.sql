-- How messages are handed out. One claim of a reader at a time: a lock of the reader, held for no longer than the claim,
-- which is not synced. Settlements do not take it; what they share with a claim is stated at each place.

-- Adds to a history, which stays bounded: the first failures stay, the latest replaces the one before it.
create or replace function dozen.remember(p_errors jsonb, p_claimed bigint, p_at bigint, p_error text) returns jsonb
language sql immutable as $$
    select (case when jsonb_array_length(p_errors) < {errors_max} then p_errors else p_errors - ({errors_max} - 1) end)
           || jsonb_build_object('claimed', p_claimed, 'at', p_at, 'error', left(p_error, {error_length_max}))
    from (select coalesce(p_errors, '[]')) given (p_errors)
$$;

-- Which messages of a batch are neither settled nor told by a claim of their own.
create or replace function dozen.open_of(p_stream bigint, p_batch dozen.batch) returns setof bigint language plpgsql stable as $$
begin
    if p_batch.leased = 0 then
        return;
    elsif p_batch.positions is null then
        return query
        select e.position from dozen.entry e
        where e.stream = p_stream and e.position > p_batch.after and e.position <= p_batch.position
          and not exists (select from dozen.done d where d.reader = p_batch.reader and d.position = e.position)
        order by e.position;
    else
        return query
        select p from unnest(p_batch.positions) p
        where not exists (select from dozen.done d where d.reader = p_batch.reader and d.position = p)
        order by p;
    end if;
end $$;

-- Whether any are.
create or replace function dozen.is_open(p_stream bigint, p_batch dozen.batch) returns boolean language plpgsql stable as $$
begin
    if p_batch.positions is null then
        -- All that was looked at was leased: then each receipt is of one of them.
        return p_batch.leased > (
            select count(*) from dozen.done d
            where d.reader = p_batch.reader and d.position > p_batch.after and d.position <= p_batch.position);
    end if;
    return exists (select dozen.open_of(p_stream, p_batch));
end $$;

-- Takes one message out of its batch and gives it a claim of its own. Whoever inserts the receipt decides: a settlement
-- that has come first, even one that has not committed, keeps the message. It is waited for briefly.
create or replace function dozen.single_out(
    p_batch dozen.batch, p_position bigint, p_due bigint, p_claimed bigint
) returns boolean language plpgsql as $$
begin
    insert into dozen.done (reader, position, state, attempts, claimed, ended)
    values (p_batch.reader, p_position, 20, 1, p_claimed, p_claimed)
    on conflict do nothing;
    if not found then
        return false;
    end if;
    insert into dozen.claim (reader, position, state, due, attempts, fence, claimed)
    values (p_batch.reader, p_position, 0, p_due, 1, p_batch.fence, p_claimed);
    return true;
exception when lock_not_available then
    return null;
end $$;

-- All of a batch; says whether nothing had to be left.
create or replace function dozen.single_out_all(p_stream bigint, p_batch dozen.batch, p_due bigint, p_claimed bigint)
returns boolean language plpgsql as $$
declare
    v_open bigint[];
    v_all  boolean := true;
    v_one  bigint;
    v_wait constant text := current_setting('lock_timeout');
begin
    if not dozen.is_open(p_stream, p_batch) then
        return true;
    end if;
    v_open := array(select dozen.open_of(p_stream, p_batch));
    perform set_config('lock_timeout', '20ms', true);
    foreach v_one in array v_open loop
        v_all := (dozen.single_out(p_batch, v_one, p_due, p_claimed) is not null) and v_all;
    end loop;
    perform set_config('lock_timeout', v_wait, true);
    return v_all;
end $$;

-- Lets the first held message of a key go, unless a dead letter of the key remains; not before its own moment.
create or replace function dozen.release(p_stream bigint, p_reader bigint, p_key text, p_now bigint) returns void
language plpgsql as $$
begin
    if not exists (select from dozen.claim where reader = p_reader and key = p_key and state = 3) then
        update dozen.claim c
        set state = 1,
            due = greatest(p_now, (select e.due from dozen.entry e where e.stream = p_stream and e.position = c.position))
        where c.reader = p_reader and c.position = (
            select h.position from dozen.claim h where h.reader = p_reader and h.key = p_key and h.state = 2
            order by h.position limit 1);
    end if;
end $$;

-- Forgets the claims that have a receipt, and lets go what they held back. Settlements leave that to the next claim, so that
-- they need not wait for claims.
create or replace function dozen.sweep(p_stream bigint, p_reader bigint, p_now bigint) returns void language plpgsql as $$
declare
    v_key text;
begin
    for v_key in
        delete from dozen.claim c using dozen.done d
        where c.reader = p_reader and c.state = 0
          and d.reader = p_reader and d.position = c.position and d.state < 20
        returning c.key
    loop
        if v_key is not null then
            perform dozen.release(p_stream, p_reader, v_key, p_now);
        end if;
    end loop;
end $$;

-- After the clock was set back, what was leased or put off before is measured by the clock as it is now, or it would wait
-- until that has caught up. A moment that a sender chose stays.
create or replace function dozen.follow_clock(p_stream bigint, p_reader bigint, p_now bigint) returns void
language plpgsql as $$
declare
    v_batch dozen.batch;
begin
    for v_batch in select * from dozen.batch where reader = p_reader and until > p_now and claimed > p_now loop
        perform dozen.single_out_all(p_stream, v_batch, p_now + v_batch.until - v_batch.claimed, p_now);
    end loop;
    update dozen.claim c
    set claimed = case when c.claimed is null then null else p_now end,
        due = case when c.claimed is null
                   then greatest(p_now, (select e.due from dozen.entry e where e.stream = p_stream and e.position = c.position))
                   else p_now + c.due - c.claimed end
    where c.reader = p_reader and c.state in (0, 1) and c.due > p_now and coalesce(c.claimed > p_now, true);
end $$;

-- Whether a new message of a key has to wait for another of it. What is held lies behind everything else of its key.
create or replace function dozen.is_full(p_reader bigint, p_key text, p_per_key integer) returns boolean
language plpgsql stable as $$
declare
    v_last smallint;
begin
    select state into v_last from dozen.claim where reader = p_reader and key = p_key order by position desc limit 1;
    return v_last is not null and (v_last = 2 or p_per_key <= 1 or (
        select count(*) >= p_per_key or bool_or(state = 3) from dozen.claim where reader = p_reader and key = p_key));
end $$;

-- When something of a reader that has got nothing becomes due.
create or replace function dozen.next_due(p_stream bigint, p_reader bigint, p_now bigint) returns bigint
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
    v_number  bigint := nextval('dozen.fence');
    v_fence   bigint;
    v_until   constant bigint := p_now + p_lease;
    v_after   bigint;
    v_watched bigint;
    v_seen    integer := 0;
    v_odd     boolean;
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
        due := case when v_scanned = {scan_max} then p_now else dozen.next_due(p_stream, v_reader.reader, p_now) end;
    end if;
    return next;
end $$;
