#!/bin/sh
# m4 expands a recursive macro, sed and diff make a patch, patch applies it
cat > /scratch/in.m4 << 'END'
define(`loop', `ifelse($1, 0, , `$1 loop(decr($1))')')loop(400)
END
m4 /scratch/in.m4 > /scratch/out
sed 's/quick/slow/' /data/text > /scratch/new
diff -u /data/text /scratch/new > /scratch/patch
cp /data/text /scratch/old
exec patch -s /scratch/old /scratch/patch
