-- How claims end. Whoever inserts the receipt of a message, under a fence that is still good, has settled it.

-- Which of these places can be settled from their batch: those that were leased with it and have no claim of their own.
create or replace function dozen.in_batch(p_reader bigint, p_position bigint, p_fence bigint) returns dozen.batch
language sql stable as $$
    select b from dozen.batch b
    where b.reader = p_reader and b.fence = p_fence and p_position > b.after and p_position <= b.position
      and b.leased > 0 and (b.positions is null or p_position = any(b.positions))
      and exists (select from dozen.reader r where r.reader = p_reader)
      and not exists (select from dozen.claim c where c.reader = p_reader and c.position = p_position)
$$;

-- Which of `p_all` are in `p_some`, by their places in `p_all`: of pairs that both lists have in order, as it is for all or
-- nearly all of them.
create or replace function dozen.found_in(
    p_reader bigint[], p_position bigint[], p_some_reader bigint[], p_some_position bigint[]
) returns integer[] language plpgsql immutable as $$
declare
    v_found integer[] := '{}';
    v_at    integer := 1;
begin
    if cardinality(p_some_reader) = cardinality(p_reader) then
        return array(select generate_series(1, cardinality(p_reader)));
    end if;
    for v_one in 1 .. cardinality(p_reader) loop
        if p_reader[v_one] = p_some_reader[v_at] and p_position[v_one] = p_some_position[v_at] then
            v_found := v_found || v_one;
            v_at := v_at + 1;
        end if;
    end loop;
    return v_found;
end $$;

-- Settles what is done, all at once: the places of any number of callers, none of them twice. Gives the numbers, counted
-- from 1, of those whose lease was good; negative for those whose key is free again.
create or replace function dozen.settle_done(
    p_reader bigint[], p_position bigint[], p_fence bigint[], p_now bigint[]
) returns integer[] language plpgsql as $$
declare
    v_n        integer[];
    v_sign     integer[];
    v_reader   bigint[];
    v_position bigint[];
    v_claimed  bigint[];
    v_in       bigint[];
    v_at       bigint[];
    v_good     integer[] := '{}';
begin
    perform nextval('dozen.change');
    if exists (select from unnest(p_reader) u (reader)
               where exists (select from dozen.claim c where c.reader = u.reader))
    then
        -- Locked, so that a claim that finds the lease ended does not give it to another meanwhile.
        select array_agg(x.n), array_agg(x.sign), array_agg(x.reader), array_agg(x.position)
        into v_n, v_sign, v_reader, v_position
        from (select u.n, u.reader, u.position, case when c.key is null then 1 else -1 end as sign
              from (select * from unnest(p_reader, p_position, p_fence) with ordinality u (reader, position, fence, n)
                    order by u.reader, u.position) u
              cross join lateral (
                  select c.key from dozen.claim c
                  where c.reader = u.reader and c.position = u.position and c.fence = u.fence and c.state = 0
                  for update) c
              where exists (select from dozen.reader r where r.reader = u.reader)) x;
    end if;
    if cardinality(v_n) > 0 then
        with receipt as (
            insert into dozen.done as d (reader, position, state, attempts, claimed, ended, errors)
            select u.reader, u.position, 10, c.attempts, c.claimed, p_now[u.n], c.errors
            from unnest(v_n, v_reader, v_position) u (n, reader, position)
            cross join lateral (
                select * from dozen.claim c where c.reader = u.reader and c.position = u.position offset 0) c
            on conflict (reader, position) do update
            set state = 10, attempts = excluded.attempts, claimed = excluded.claimed, ended = excluded.ended,
                errors = excluded.errors
            where d.state = 20
            returning d.reader, d.position)
        select array_agg(r.reader order by r.reader, r.position), array_agg(r.position order by r.reader, r.position)
        into v_in, v_at from receipt r;
        v_good := array(select v_n[f] * v_sign[f] from unnest(dozen.found_in(v_reader, v_position, v_in, v_at)) f);
        if cardinality(v_n) = cardinality(p_reader) then
            return v_good;
        end if;
    end if;
    select array_agg(u.n), array_agg(u.reader), array_agg(u.position), array_agg(b.claimed)
    into v_n, v_reader, v_position, v_claimed
    from (select * from unnest(p_reader, p_position, p_fence) with ordinality u (reader, position, fence, n)
          order by u.reader, u.position) u
    cross join lateral (
        select * from dozen.batch b where b.reader = u.reader and b.fence = u.fence offset 0) b
    where u.position > b.after and u.position <= b.position and b.leased > 0
      and (b.positions is null or u.position = any(b.positions))
      and exists (select from dozen.reader r where r.reader = u.reader)
      and not exists (select from dozen.claim c where c.reader = u.reader and c.position = u.position);
    if cardinality(v_n) > 0 then
        with receipt as (
            insert into dozen.done (reader, position, state, attempts, claimed, ended)
            select u.reader, u.position, 10, 1, u.claimed, p_now[u.n]
            from unnest(v_n, v_reader, v_position, v_claimed) u (n, reader, position, claimed)
            on conflict do nothing
            returning reader, position)
        select array_agg(r.reader order by r.reader, r.position), array_agg(r.position order by r.reader, r.position)
        into v_in, v_at from receipt r;
        v_good := v_good || array(select v_n[f] from unnest(dozen.found_in(v_reader, v_position, v_in, v_at)) f);
    end if;
    return v_good;
end $$;

-- Settles one message in any way: 10 done, 11 dropped, 1 again, 3 given up. Gives 0 where the lease was not good, 1, or 2
-- where its key is free again.
create or replace function dozen.settle_one(
    p_reader bigint, p_position bigint, p_fence bigint, p_state integer, p_at bigint, p_error text, p_now bigint
) returns integer language plpgsql as $$
declare
    v_claim dozen.claim;
    v_batch dozen.batch;
begin
    if not exists (select from dozen.reader r where r.reader = p_reader) then
        return 0;
    end if;
    select * into v_claim from dozen.claim c where c.reader = p_reader and c.position = p_position for update;
    if found then
        if v_claim.state <> 0 or v_claim.fence <> p_fence or exists (
            select from dozen.done d where d.reader = p_reader and d.position = p_position and d.state < 20)
        then
            return 0;
        end if;
    else
        v_batch := dozen.in_batch(p_reader, p_position, p_fence);
        if v_batch.reader is null then
            return 0;
        end if;
        insert into dozen.done (reader, position, state, attempts, claimed, ended)
        values (p_reader, p_position, 20, 1, v_batch.claimed, p_now) on conflict do nothing;
        if not found then
            return 0;
        end if;
        v_claim.attempts := 1;
        v_claim.claimed := v_batch.claimed;
        if p_state < 10 then
            insert into dozen.claim (reader, position, state, due, attempts, fence, claimed)
            values (p_reader, p_position, 0, v_batch.until, 1, p_fence, v_batch.claimed);
        end if;
    end if;
    if p_error is not null then
        v_claim.errors := dozen.remember(v_claim.errors, v_claim.claimed, p_now, p_error);
    end if;
    if p_state < 10 then
        update dozen.claim c
        set state = p_state, due = p_at, ended = case when p_at is null then p_now end, errors = v_claim.errors
        where c.reader = p_reader and c.position = p_position;
        return 1;
    end if;
    insert into dozen.done (reader, position, state, attempts, claimed, ended, errors)
    values (p_reader, p_position, p_state, v_claim.attempts, v_claim.claimed, p_now, v_claim.errors)
    on conflict (reader, position) do update
    set state = excluded.state, attempts = excluded.attempts, claimed = excluded.claimed, ended = excluded.ended,
        errors = excluded.errors;
    return case when v_claim.key is null then 1 else 2 end;
end $$;

-- The number of a reader.
create or replace function dozen.reader_number(p_stream bigint, p_name text) returns bigint language plpgsql stable as $$
declare
    v_reader bigint;
begin
    select reader into v_reader from dozen.reader where stream = p_stream and name = p_name;
    if not found then
        raise exception using errcode = 'DZ001', message = 'no such reader';
    end if;
    return v_reader;
end $$;

-- Settles messages of one reader, each in its way.
create or replace function dozen.settle(
    p_stream bigint, p_name text, p_position bigint[], p_fence bigint[], p_state integer[], p_at bigint[], p_error text[],
    p_now bigint
) returns integer[] language plpgsql as $$
declare
    v_reader constant bigint := dozen.reader_number(p_stream, p_name);
    v_given  integer[] := '{}';
begin
    perform nextval('dozen.change');
    for v_one in 1 .. cardinality(p_position) loop
        v_given := v_given || dozen.settle_one(
            v_reader, p_position[v_one], p_fence[v_one], p_state[v_one], p_at[v_one], p_error[v_one], p_now);
    end loop;
    return v_given;
end $$;

-- Holds claims until `p_until`; says for each whether its lease was good.
create or replace function dozen.extend_claims(
    p_stream bigint, p_name text, p_position bigint[], p_fence bigint[], p_until bigint, p_alone boolean
) returns boolean[] language plpgsql as $$
declare
    v_reader constant bigint := dozen.reader_number(p_stream, p_name);
    v_kept   boolean[] := '{}';
    v_batch  dozen.batch;
begin
    if p_alone then
        perform set_config('synchronous_commit', 'off', true);
    end if;
    for v_one in 1 .. cardinality(p_position) loop
        update dozen.claim c set due = p_until
        where c.reader = v_reader and c.position = p_position[v_one] and c.fence = p_fence[v_one] and c.state = 0
          and not exists (select from dozen.done d
                          where d.reader = c.reader and d.position = c.position and d.state < 20);
        if found then
            v_kept := v_kept || true;
            continue;
        end if;
        v_batch := dozen.in_batch(v_reader, p_position[v_one], p_fence[v_one]);
        v_kept := v_kept || (v_batch.reader is not null
            and coalesce(dozen.single_out(v_batch, p_position[v_one], p_until, v_batch.claimed), false));
    end loop;
    return v_kept;
end $$;

-- Acts on dead letters: 1 redrive, 2 discard, 3 edit.
create or replace function dozen.revise(
    p_stream bigint, p_name text, p_positions bigint[], p_limit integer, p_how integer,
    p_kind text, p_attributes text, p_data bytea, p_now bigint
) returns bigint language plpgsql as $$
declare
    v_reader constant bigint := dozen.reader_number(p_stream, p_name);
    v_claim  dozen.claim;
    v_count  bigint := 0;
begin
    perform pg_advisory_xact_lock({lock} + 1, hashtext(p_stream || '/' || p_name));
    perform nextval('dozen.change');
    for v_claim in
        select * from dozen.claim c
        where c.reader = v_reader and c.state = 3 and (cardinality(p_positions) = 0 or c.position = any(p_positions))
        order by c.position limit p_limit for update
    loop
        v_count := v_count + 1;
        if p_how = 1 then
            update dozen.claim c set state = 1, attempts = 0, due = p_now, ended = null
            where c.reader = v_reader and c.position = v_claim.position;
        elsif p_how = 2 then
            delete from dozen.claim c where c.reader = v_reader and c.position = v_claim.position;
            insert into dozen.done (reader, position, state, attempts, claimed, ended, errors)
            values (v_reader, v_claim.position, 11, v_claim.attempts, v_claim.claimed, p_now, v_claim.errors)
            on conflict (reader, position) do update
            set state = 11, attempts = excluded.attempts, claimed = excluded.claimed, ended = excluded.ended,
                errors = excluded.errors;
            if v_claim.key is not null then
                perform dozen.release(p_stream, v_reader, v_claim.key, p_now);
            end if;
        else
            insert into dozen.edit (reader, position, kind, attributes, data)
            values (v_reader, v_claim.position, p_kind, p_attributes, p_data)
            on conflict (reader, position) do update
            set kind = excluded.kind, attributes = excluded.attributes, data = excluded.data;
        end if;
    end loop;
    return v_count;
end $$;

-- The same for many callers: `p_of` says whose of `p_streams` and `p_names` each place is.
create or replace function dozen.settle_many(
    p_streams bigint[], p_names text[], p_of integer[], p_position bigint[], p_fence bigint[], p_now bigint[]
) returns integer[] language plpgsql as $$
declare
    v_readers bigint[] := '{}';
begin
    -- Whoever has to wait for longer is served alone, so that nobody else waits with him.
    perform set_config('lock_timeout', '1s', true);
    for v_one in 1 .. cardinality(p_streams) loop
        v_readers := v_readers || dozen.reader_number(p_streams[v_one], p_names[v_one]);
    end loop;
    return dozen.settle_done(
        array(select v_readers[u.o] from unnest(p_of) with ordinality u (o, n) order by u.n), p_position, p_fence, p_now);
end $$;
