#!/bin/sh
# find, xargs, grep and sed over a tree of 60 files
find /data/tree -name '*.txt' | xargs -n 12 grep -c quick > /scratch/counts
find /data/tree -name '1.txt' -exec sed -n '/fox/s/o/0/gp' '{}' ';' > /scratch/lines
exec sort -t: -k2 -n /scratch/counts
