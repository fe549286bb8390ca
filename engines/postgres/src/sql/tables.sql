-- Small records with versions and expiry.

-- Writes a row and gives its version; null where what is expected (0 anything, 1 nothing, 2 this version) is not there. The
-- version is drawn while the row is locked, so that it grows with each write.
create or replace function dozen.put(
    p_space text, p_key text, p_value bytea, p_expect integer, p_version bigint, p_expires bigint, p_now bigint, p_must boolean
) returns bigint language plpgsql as $$
declare
    v_row     dozen.record;
    v_version bigint;
begin
    loop
        select * into v_row from dozen.record where space = p_space and key = p_key for update;
        if found then
            if p_expect = 0
               or (p_expect = 1 and v_row.expires <= p_now)
               or (p_expect = 2 and v_row.version = p_version and coalesce(v_row.expires > p_now, true))
            then
                v_version := nextval('dozen.version');
                update dozen.record set value = p_value, version = v_version, expires = p_expires
                where space = p_space and key = p_key;
            end if;
            exit;
        end if;
        exit when p_expect = 2;
        insert into dozen.record (space, key, version, value, expires)
        values (p_space, p_key, nextval('dozen.version'), p_value, p_expires)
        on conflict do nothing returning version into v_version;
        exit when found;
    end loop;
    if v_version is null and p_must then
        raise exception using errcode = 'DZ002', message = 'not as expected';
    end if;
    -- Each write pays for a little of the sweeping.
    if v_version is not null then
        delete from dozen.record r using (
            select x.space, x.key from dozen.record x where x.expires <= p_now limit 4 for update skip locked) gone
        where r.space = gone.space and r.key = gone.key and r.expires <= p_now;
    end if;
    return v_version;
end $$;

create or replace function dozen.remove(p_space text, p_key text, p_version bigint) returns bigint language sql as $$
    with gone as (
        delete from dozen.record where space = p_space and key = p_key and (p_version is null or version = p_version)
        returning 1)
    select count(*) from gone
$$;
