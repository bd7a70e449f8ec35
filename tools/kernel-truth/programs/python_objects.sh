#!/bin/sh
# python3 makes 30,000 objects in lists and dictionaries, sorts and joins them
for python in /usr/bin/python3.[0-9]*; do break; done
exec $python -S -c '
words = open("/data/text").read().split()
count = {}
for w in words: count[w] = count.get(w, 0) + 1
rows = [(n, w, [n, len(w)]) for w, n in count.items()]
more = {i: str(i) * 3 for i in range(20000)}
rows.sort()
print(len(rows), len("".join(more.values())))'
