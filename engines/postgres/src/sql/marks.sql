-- What has been seen: the marks of inboxes. Nothing of them is deleted: the segments of days that are over are dropped.

-- Makes the segment of a day.
create or replace function dozen.extend_marks(p_gone_by bigint) returns void language plpgsql as $$
declare
    v_table constant text := 'mark_' || p_gone_by;
begin
    if to_regclass('dozen.' || v_table) is null then
        execute format('create table dozen.%I (like dozen.mark including all)', v_table);
        execute format('alter table dozen.mark attach partition dozen.%I for values from (%s) to (%s)',
                       v_table, p_gone_by, p_gone_by + 1);
    end if;
end $$;

-- Makes a mark, and says whether it is the first.
create or replace function dozen.mark(p_space text, p_key text, p_gone_by bigint, p_today bigint) returns boolean
language plpgsql as $$
begin
    -- One after the other: at midnight two that mark the same mark it in different segments.
    perform pg_advisory_xact_lock({lock} + 2, hashtext(p_space || E'\n' || p_key));
    if exists (select from dozen.mark m where m.space = p_space and m.key = p_key and m.gone_by > p_today) then
        return false;
    end if;
    if to_regclass('dozen.mark_' || p_gone_by) is null then
        perform pg_advisory_xact_lock({lock}, 4);
        perform dozen.extend_marks(p_gone_by);
    end if;
    -- The next one is made by whoever comes first, a day before anybody has to wait for it.
    if to_regclass('dozen.mark_' || (p_gone_by + 1)) is null and pg_try_advisory_xact_lock({lock}, 4) then
        perform dozen.extend_marks(p_gone_by + 1);
    end if;
    insert into dozen.mark (gone_by, space, key) values (p_gone_by, p_space, p_key);
    return true;
end $$;

-- Drops the oldest segment of marks if its day is over; gives how many. As `drop_segments` does.
create or replace function dozen.drop_marks(p_today bigint) returns integer language plpgsql as $$
declare
    v_day bigint;
begin
    if not pg_try_advisory_xact_lock({lock}, 3) then
        return 0;
    end if;
    select min(substring(c.relname from '[0-9]+$')::bigint) into v_day
    from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = 'dozen.mark'::regclass;
    if v_day is null or v_day > p_today then
        return 0;
    end if;
    perform set_config('lock_timeout', '50ms', true);
    execute format('drop table dozen.%I', 'mark_' || v_day);
    return 1;
exception when lock_not_available then
    return 0;
end $$;
