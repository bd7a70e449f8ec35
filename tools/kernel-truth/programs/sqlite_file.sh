#!/bin/sh
# sqlite3 fills a table in a file in one transaction, indexes it, joins and updates it
exec sqlite3 /scratch/x.db '
  create table a(k integer primary key, v text, w integer);
  begin;
  with recursive c(x) as (select 1 union all select x + 1 from c where x < 12000)
    insert into a select x, hex(x * 7919 % 10007), x % 101 from c;
  commit;
  create index i on a(w, v);
  select w, count(*), max(v) from a group by w order by 2 desc limit 5;
  update a set v = v || "z" where w < 20;'
