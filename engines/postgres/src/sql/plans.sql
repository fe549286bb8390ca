-- How the functions that are called from outside are planned, and those that they call. Each statement in them has one good
-- plan, by index, which is planned once for each connection: not with each call, and not by what the server believes of
-- tables that grow from nothing to millions of rows before it looks at them again.
do $$
declare
    v_function regprocedure;
begin
    for v_function in
        select p.oid::regprocedure from pg_proc p
        where p.pronamespace = '{schema}'::regnamespace and p.proname in (
            'append', 'claim', 'settle_many', 'settle', 'extend_claims', 'revise', 'trim', 'compact', 'sequence',
            'drop_segments', 'open_reader', 'seek', 'read_entries', 'claims', 'readers', 'find')
    loop
        execute format(
            'alter function %s set plan_cache_mode = force_generic_plan set enable_seqscan = off set enable_hashjoin = off '
            'set enable_mergejoin = off set jit = off', v_function);
    end loop;
end $$;
