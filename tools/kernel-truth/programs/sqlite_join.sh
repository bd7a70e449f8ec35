#!/bin/sh
# sqlite3 joins and sorts two tables in memory
exec sqlite3 :memory: '
  create table a(k integer primary key, v text); create table b(k integer, w text);
  with recursive c(x) as (select 1 union all select x + 1 from c where x < 15000)
    insert into a select x, hex(randomblob(8)) from c;
  insert into b select k * 3 % 15000, v from a;
  select count(*) from a join b on a.k = b.k where a.v < b.w;
  select v from a order by v limit 3;'
