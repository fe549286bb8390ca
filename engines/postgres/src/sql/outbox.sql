-- The sequencer: makes entries of the rows that strangers' transactions have left in the outbox, past its door.
--
-- A row's number says nothing of when its transaction commits. So what is new is what the present snapshot sees and the one
-- of the last run did not: a transaction that commits late is in a later run, nothing is stepped over, and nobody waits for it.

-- Which numbers of transactions these are: they are another cluster's after a restore, another history's after a fail-over.
create or replace function dozen.origin() returns text language sql stable as $$
    select s.system_identifier || '/' || d.oid || '/' || c.timeline_id
    from pg_control_system() s, pg_control_checkpoint() c, pg_database d where d.datname = current_database()
$$;

-- Makes entries of what is new; gives the names of the streams that got some, whether a transaction is under way that may
-- have left more, and which history this is.
create or replace function dozen.sequence(p_now bigint, out o_streams text[], out o_pending boolean, out o_epoch bigint)
language plpgsql as $$
declare
    v_tick   dozen.tick;
    v_next   dozen.tick;
    v_rebase boolean;
    v_rows   bigint[];
    v_more   boolean;
    v_head   bigint;
    v_size   constant bigint := (select value::bigint from dozen.meta where name = 'segment-size');
begin
    o_streams := '{}';
    perform pg_advisory_xact_lock({lock}, 0);
    select * into v_tick from dozen.tick order by tick desc limit 1;
    v_next := v_tick;
    -- Read before the snapshot: a row with a number up to here is of a transaction that the snapshot knows of.
    select case when is_called then last_value else 0 end into v_next.seq from dozen.outbox_seq;
    v_next.origin := dozen.origin();
    v_rebase := v_next.origin <> v_tick.origin or pg_snapshot_xmax(v_tick.snapshot) > pg_snapshot_xmax(pg_current_snapshot());
    o_pending := false;
    o_epoch := v_tick.epoch;
    if not v_rebase and v_next.seq = v_tick.seq and v_tick.settled then
        return;
    end if;
    -- One statement, one snapshot: the one that is noted is the one that the rows were read with.
    if v_rebase then
        -- What has no entry yet is new, whatever the numbers of the transactions say.
        select array_agg(o.seq order by o.seq), max(s.now::text)::pg_snapshot into v_rows, v_next.snapshot
        from (select pg_current_snapshot() as now) s
        left join lateral (
            select x.seq from dozen.outbox x
            where not exists (select from dozen.entry e where e.outbox = x.seq)
            order by x.seq limit {rows_max} + 1) o on true;
        v_next.epoch := v_tick.epoch + 1;
        v_next.rebase_seq := v_next.seq;
        v_next.rebase_xid := pg_current_xact_id(); -- later than all who had taken a number up to `seq`
    else
        select array_agg(o.seq order by o.seq), max(s.now::text)::pg_snapshot into v_rows, v_next.snapshot
        from (select pg_current_snapshot() as now) s
        left join lateral (
            select n.seq
            from (select x.seq, x.xid from dozen.outbox x where x.xid >= pg_snapshot_xmax(v_tick.snapshot)
                  union all
                  select x.seq, x.xid from dozen.outbox x
                  where x.xid = any(array(select pg_snapshot_xip(v_tick.snapshot)))) n
            where (n.seq > v_tick.rebase_seq or n.xid < v_tick.rebase_xid)
              and not exists (select from dozen.entry e where e.outbox = n.seq)
            order by n.seq limit {rows_max} + 1) o on true;
    end if;
    v_rows := coalesce(array_remove(v_rows, null), '{}');
    -- Of very many, some at a time: everybody's appends wait meanwhile. The rest is new to the next run as well.
    v_more := cardinality(v_rows) > {rows_max};
    v_rows := v_rows[1:{rows_max}];
    -- Settled: all who had taken a number up to `seq` have ended, one way or the other. That their transactions are below a
    -- snapshot's end cannot be said, for one that is running may lie beyond it; below a number that was given afterwards they are.
    v_next.settled := not v_rebase and v_next.seq = v_tick.seq and pg_snapshot_xmin(v_next.snapshot) >= v_tick.horizon;
    o_pending := v_more or not v_next.settled;
    o_epoch := case when v_more then v_tick.epoch else v_next.epoch end;
    -- While nothing comes of it there is nothing to note: the difference to an older snapshot says the same.
    if not v_more and (v_rebase or v_next.seq <> v_tick.seq or v_next.settled or cardinality(v_rows) > 0) then
        insert into dozen.tick (origin, epoch, snapshot, seq, settled, horizon, rebase_seq, rebase_xid)
        values (v_next.origin, v_next.epoch, v_next.snapshot, v_next.seq, v_next.settled, pg_current_xact_id(),
                v_next.rebase_seq, v_next.rebase_xid);
    end if;
    if v_next.seq / v_size <> v_tick.seq / v_size then
        perform dozen.extend('outbox', v_next.seq + 3 * v_size, v_size);
    end if;
    if cardinality(v_rows) = 0 then
        return;
    end if;
    o_streams := array(select distinct 'topic/' || o.aggregatetype from dozen.outbox o where o.seq = any(v_rows));
    perform dozen.stream_number(s) from unnest(o_streams) s;
    v_head := dozen.head(cardinality(v_rows));
    insert into dozen.entry (stream, position, ordinal, volume, at, outbox, size, id, kind, key, attributes)
    select x.stream, v_head + x.n,
           x.ends[1] + row_number() over own,
           x.ends[2] + sum(x.size) over own,
           p_now, x.seq, x.size, x.id, x.type, x.aggregateid,
           -- Rows that are older than the door have no source.
           (jsonb_build_object('source', '/outbox/' || x.aggregatetype) || coalesce(x.headers, '{}'))::text
    from (select o.*, u.n, s.stream, octet_length(dozen.payload_of(o.payload, o.data)) as size,
                 (select array[d.o_ordinal, d.o_volume] from dozen.end_of(s.stream) d) as ends
          from unnest(v_rows) with ordinality u (seq, n)
          join dozen.outbox o on o.seq = u.seq
          join dozen.stream s on s.name = 'topic/' || o.aggregatetype) x
    window own as (partition by x.stream order by x.n);
    -- Old ticks are of no use; a few go with each new one.
    delete from dozen.tick where tick in (
        select t.tick from dozen.tick t where t.tick < v_tick.tick - 1000 order by t.tick limit 2);
end $$;
