-- Claims that are out of the ordinary: keys that let go, a clock that was set back.

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
