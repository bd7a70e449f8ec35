#!/bin/sh
# tar packs a tree through gzip, unpacks it, diff compares
tar -czf /work/t.tgz -C /data tree
tar -xzf /work/t.tgz -C /work
exec diff -r /data/tree /work/tree
