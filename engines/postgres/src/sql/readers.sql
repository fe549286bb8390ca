-- Who reads a stream, and where it begins.

-- Where a reader that begins in this way stands: 0 earliest, 1 latest, 2 after a position, 3 at a moment.
create or replace function dozen.standing(
    p_stream bigint, p_start integer, p_value bigint, out o_position bigint, out o_ordinal bigint
) language plpgsql stable as $$
declare
    v_stream dozen.stream;
    v_end    record;
begin
    select * into v_stream from dozen.stream where stream = p_stream;
    v_end := dozen.end_of(p_stream);
    o_ordinal := v_end.o_ordinal;
    o_position := case p_start when 0 then 0 when 2 then p_value when 3 then (
        select e.position - 1 from dozen.entry e
        where e.stream = p_stream and e.position > v_stream.floor and e.at >= p_value order by e.position limit 1) end;
    if o_position is null then
        -- With what comes from now on. What is being appended at this moment may go either way.
        o_position := v_end.o_position;
    elsif v_stream.gaps then
        o_ordinal := o_ordinal - (
            select count(*) from dozen.entry e
            where e.stream = p_stream and e.position > greatest(o_position, v_stream.floor));
    else
        o_ordinal := coalesce((
            select e.ordinal from dozen.entry e
            where e.stream = p_stream and e.position > v_stream.floor and e.position <= o_position
            order by e.position desc limit 1), v_stream.floor_ordinal);
    end if;
    -- What is forgotten may still lie in its segment.
    o_position := greatest(o_position, v_stream.floor);
end $$;

create or replace function dozen.open_reader(p_stream bigint, p_name text, p_start integer, p_value bigint) returns boolean
language plpgsql as $$
begin
    if exists (select from dozen.reader where stream = p_stream and name = p_name) then
        return false;
    end if;
    insert into dozen.reader (stream, name, position, ordinal)
    select p_stream, p_name, o_position, o_ordinal from dozen.standing(p_stream, p_start, p_value)
    on conflict do nothing;
    return found;
end $$;

-- Forgets what a reader has in hand. Its receipts and batches are nobody's from now on, and go with their segments.
create or replace function dozen.forget_claims(p_reader bigint) returns void language sql as $$
    delete from dozen.claim where reader = p_reader;
    delete from dozen.edit where reader = p_reader;
$$;

create or replace function dozen.close_reader(p_stream bigint, p_name text) returns bigint language plpgsql as $$
declare
    v_reader bigint;
begin
    perform pg_advisory_xact_lock({lock} + 1, hashtext(p_stream || '/' || p_name));
    delete from dozen.reader where stream = p_stream and name = p_name returning reader into v_reader;
    if not found then
        return 0;
    end if;
    perform dozen.forget_claims(v_reader);
    return 1;
end $$;

create or replace function dozen.seek(p_stream bigint, p_name text, p_start integer, p_value bigint) returns bigint
language plpgsql as $$
declare
    v_reader bigint;
    v_new    bigint;
    v_place  record;
begin
    perform pg_advisory_xact_lock({lock} + 1, hashtext(p_stream || '/' || p_name));
    perform nextval('dozen.change');
    v_reader := dozen.reader_number(p_stream, p_name);
    v_place := dozen.standing(p_stream, p_start, p_value);
    update dozen.reader
    set reader = default, position = v_place.o_position, ordinal = v_place.o_ordinal, claimed = null, watched = 0
    where reader = v_reader returning reader into v_new;
    perform dozen.forget_claims(v_reader);
    return v_new;
end $$;

create or replace function dozen.pause(p_stream bigint, p_name text, p_paused boolean) returns bigint
language plpgsql as $$
begin
    perform nextval('dozen.change');
    update dozen.reader set paused = p_paused where reader = dozen.reader_number(p_stream, p_name);
    return 1;
end $$;
