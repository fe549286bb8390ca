-- What is forgotten. A trim moves a floor; what lies below it goes when whole segments are dropped.

-- Up to where a reader needs nothing of its stream.
create or replace function dozen.needs_after(p_stream bigint, p_reader dozen.reader) returns bigint language plpgsql stable as $$
declare
    v_batch dozen.batch;
    v_least bigint;
    v_found bigint;
begin
    select * into v_batch from dozen.batch b where b.reader = p_reader.reader order by b.fence desc limit 1;
    v_least := case when found then v_batch.position else p_reader.position end;
    v_least := least(v_least, (
        select c.position - 1 from dozen.claim c
        where c.reader = p_reader.reader and not (c.state = 0 and exists (
            select from dozen.done d where d.reader = c.reader and d.position = c.position and d.state < 20))
        order by c.position limit 1));
    for v_batch in
        select * from dozen.batch b
        where b.reader = p_reader.reader and b.until > coalesce(v_batch.watched, p_reader.watched) and b.after < v_least
        order by b.fence
    loop
        exit when v_batch.after >= v_least;
        continue when not dozen.is_open(p_stream, v_batch);
        select o into v_found from dozen.open_of(p_stream, v_batch) o limit 1;
        v_least := least(v_least, v_found - 1);
        exit;
    end loop;
    return v_least;
end $$;

create or replace function dozen.trim(p_stream bigint, p_before bigint, p_bytes_max bigint, p_limit bigint) returns bigint
language plpgsql as $$
declare
    v_stream dozen.stream;
    v_end    record;
    v_needed bigint;
    v_excess bigint;
    v_count  bigint := 0;
    v_bytes  bigint := 0;
    v_entry  record;
    v_last   record;
begin
    select * into v_stream from dozen.stream where stream = p_stream for update;
    if not found then
        return 0;
    end if;
    v_end := dozen.end_of(p_stream);
    v_needed := coalesce(
        (select min(dozen.needs_after(p_stream, r)) from dozen.reader r where r.stream = p_stream), v_end.o_position);
    v_excess := coalesce(v_end.o_volume - v_stream.floor_volume - v_stream.compacted - p_bytes_max, 0);
    for v_entry in
        select e.position, e.ordinal, e.volume, e.size, e.at from dozen.entry e
        where e.stream = p_stream and e.position > v_stream.floor and e.position <= v_needed
        order by e.position limit p_limit
    loop
        exit when v_entry.at >= p_before and v_excess - v_bytes <= 0;
        v_count := v_count + 1;
        v_bytes := v_bytes + v_entry.size;
        v_last := v_entry;
    end loop;
    if v_count > 0 then
        update dozen.stream
        set floor = v_last.position, floor_ordinal = v_last.ordinal, floor_volume = v_last.volume,
            compacted = compacted - (v_last.volume - floor_volume - v_bytes)
        where stream = p_stream;
    end if;
    return v_count;
end $$;

create or replace function dozen.compact(p_stream bigint, p_before bigint, p_limit bigint) returns bigint
language plpgsql as $$
declare
    v_stream dozen.stream;
    v_seen   bigint;
    v_last   bigint;
    v_gone   bigint[];
    v_bytes  bigint;
    v_needed bigint;
begin
    select * into v_stream from dozen.stream where stream = p_stream for update;
    if not found then
        return 0;
    end if;
    select count(*), max(e.position) into v_seen, v_last
    from (select x.position from dozen.entry x
          where x.stream = p_stream and x.position > greatest(v_stream.floor, v_stream.swept)
          order by x.position limit p_limit) e;
    v_needed := coalesce((
        select min(coalesce((select b.position from dozen.batch b where b.reader = r.reader order by b.fence desc limit 1),
                            r.position))
        from dozen.reader r where r.stream = p_stream), v_last);
    with window_of as (
        select e.position, e.key, e.at, e.size from dozen.entry e
        where e.stream = p_stream and e.position > greatest(v_stream.floor, v_stream.swept) and e.position <= v_last
          and e.key is not null),
    newest as (
        select e.key, max(e.position) as position from dozen.entry e
        where e.stream = p_stream and e.position > greatest(v_stream.floor, v_stream.swept)
          and e.key in (select w.key from window_of w)
        group by e.key)
    select array_agg(w.position), sum(w.size) into v_gone, v_bytes
    from window_of w join newest n on n.key = w.key and n.position > w.position
    where w.at < p_before and w.position <= v_needed
      -- What has a key is told by a claim until it is finished.
      and not exists (
          select from dozen.reader r join dozen.claim c on c.reader = r.reader and c.position = w.position
          where r.stream = p_stream and not (c.state = 0 and exists (
              select from dozen.done d where d.reader = c.reader and d.position = c.position and d.state < 20)));
    delete from dozen.entry e where e.stream = p_stream and e.position = any(v_gone);
    update dozen.stream
    set swept = case when v_seen < p_limit then 0 else v_last end,
        gaps = gaps or v_gone is not null,
        compacted = compacted + coalesce(v_bytes, 0)
    where stream = p_stream;
    return coalesce(cardinality(v_gone), 0);
end $$;

-- Drops the oldest segment of each table in which nobody needs anything; gives how many. Its own transaction, which takes
-- locks that everybody waits for: so it gives up after a moment, and comes again.
create or replace function dozen.drop_segments() returns integer language plpgsql as $$
declare
    v_size  constant bigint := (select value::bigint from dozen.meta where name = 'segment-size');
    v_count integer := 0;
    v_table text;
    v_segment bigint;
    v_end   bigint;
    v_gone  boolean;
begin
    if not pg_try_advisory_xact_lock({lock}, 3) then
        return 0;
    end if;
    perform set_config('lock_timeout', '50ms', true);
    foreach v_table in array array['entry', 'done', 'batch', 'outbox'] loop
        select min(substring(c.relname from '[0-9]+$')::bigint) into v_segment
        from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = ('dozen.' || v_table)::regclass;
        v_end := (v_segment + 1) * v_size;
        if v_table in ('entry', 'done') then
            v_gone := v_end <= (select last_value from dozen.position)
                and not exists (
                    select from dozen.stream s
                    where exists (select from dozen.entry e
                                  where e.stream = s.stream and e.position > s.floor and e.position < v_end));
            -- Receipts outlast their entries: a reader may still need to know that it has settled one.
            if v_table = 'done' then
                v_gone := v_gone and not exists (select from dozen.entry e where e.position < v_end);
            end if;
        elsif v_table = 'batch' then
            v_end := v_end * {spread};
            v_gone := (v_segment + 1) * v_size <= (select last_value from dozen.fence)
                and not exists (
                    select from dozen.reader r
                    cross join lateral (select b.watched from dozen.batch b where b.reader = r.reader
                                        order by b.fence desc limit 1) newest
                    where exists (select from dozen.batch b
                                  where b.reader = r.reader and b.fence < v_end and b.until > newest.watched
                                    and dozen.is_open(r.stream, b)));
            if v_gone then
                -- Those that have rested since then stand where their newest batch left them.
                perform pg_advisory_xact_lock({lock} + 1, hashtext(r.stream || '/' || r.name)) from dozen.reader r
                where exists (select from dozen.batch b where b.reader = r.reader and b.fence < v_end);
                update dozen.reader r
                set position = b.position, ordinal = b.ordinal, claimed = b.claimed, watched = b.watched
                from dozen.batch b
                where b.reader = r.reader and b.fence < v_end
                  and b.fence = (select max(x.fence) from dozen.batch x where x.reader = r.reader);
            end if;
        else
            v_gone := (v_segment + 2) * v_size <= (select last_value from dozen.outbox_seq)
                and not exists (select from dozen.entry e join dozen.stream s using (stream)
                                where e.outbox < v_end and e.position > s.floor)
                and not exists (
                    select from dozen.outbox o, (select * from dozen.tick order by tick desc limit 1) t
                    where o.seq < v_end and o.seq > t.rebase_seq and not pg_visible_in_snapshot(o.xid, t.snapshot));
        end if;
        if v_gone then
            begin
                execute format('drop table dozen.%I', v_table || '_' || v_segment);
                v_count := v_count + 1;
            exception when lock_not_available then
                null;
            end;
        end if;
    end loop;
    return v_count;
end $$;
