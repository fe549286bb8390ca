-- Versions of rows count up from here, whoever writes them: above every one that an opening of this file has given so far.
insert into dozen_meta
    select 'versions', (coalesce((select value from dozen_meta where name = 'opened'), 0) + 1) << 40;
