#!/bin/sh
# tr, sort, uniq and sort again over the words of a text
tr ' ' '\n' < /data/text | sort | uniq -c | sort -rn > /scratch/words
exec head -n 5 /scratch/words
