#!/bin/sh
# m4 expands a recursive macro, sed and diff make a patch, patch applies it
cat > /work/in.m4 << 'END'
define(`loop', `ifelse($1, 0, , `$1 loop(decr($1))')')loop(400)
END
m4 /work/in.m4 > /work/out
sed 's/quick/slow/' /data/text > /work/new
diff -u /data/text /work/new > /work/patch
cp /data/text /work/old
exec patch -s /work/old /work/patch
