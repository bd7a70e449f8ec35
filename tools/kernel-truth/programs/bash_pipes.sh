#!/bin/sh
# bash runs 25 rounds of a function, command substitutions and a pipe of three
exec bash -c '
  join() { local all=""; for w in "$@"; do all="$all-$w"; done; echo "${all#-}"; }
  for i in {1..25}; do
    x=$(join a b c $i); y=${x//-/ }
    head -n 40 /data/text | tr a-m n-z | wc -w
    read -r n rest < <(echo $y)
  done'
