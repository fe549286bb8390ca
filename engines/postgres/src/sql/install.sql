-- A new store's first segments, and its identity.
insert into dozen.meta values
    ('store', substr(replace(gen_random_uuid()::text, '-', ''), 1, 12)),
    ('segment-size', '{segment}'),
    ('segment-entry', '-1'), ('segment-done', '-1'), ('segment-batch', '-1'), ('segment-outbox', '-1');
select dozen.extend('entry', 0, {segment}), dozen.extend('done', 0, {segment}),
       dozen.extend('batch', 0, {segment} * {spread}::bigint), dozen.extend('outbox', 3 * {segment}, {segment});
insert into dozen.tick (origin, epoch, snapshot, seq, settled, horizon, rebase_seq, rebase_xid)
select dozen.origin(), 1, pg_current_snapshot(), 0, true, pg_current_xact_id(), 0, '0'::xid8;
