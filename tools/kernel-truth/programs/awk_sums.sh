#!/bin/sh
# mawk and gawk sum columns by key in arrays
mawk '{ s[$1 % 4096] += $3; n[$1] = $0 } END { for (k in s) t += s[k]; print t, length(n) }' /data/numbers
exec gawk '{ for (i = 1; i <= NF; i++) c[$i]++ } END { n = asorti(c, d); print n, d[1] }' /data/text
