-- What is leased with its batch, and how it comes to have a claim of its own.

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
