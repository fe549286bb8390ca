-- Row 0 of dozen_stream is the store itself, under a name that no stream has: the last position given to anybody, and how many
-- groups were committed, by any process. Every commit changes it, and almost every commit changes a stream: they share a page.
insert into dozen_stream (stream, name, appended, position) select 0, char(10), commits, position from dozen_head;
drop table dozen_head;
