#!/bin/sh
# lua makes tables of tables and strings, and lets most of them go
exec lua5.4 -e '
  local all = {}
  for round = 1, 6 do
    local t = {}
    for i = 1, 4000 do t[i] = {i, tostring(i * round), {x = i}} end
    all[round % 2] = t
  end
  print(#all[0], collectgarbage("count") > 0)'
