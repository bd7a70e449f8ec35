#!/bin/sh
# tar packs a tree through gzip, unpacks it, diff compares
tar -czf /scratch/t.tgz -C /data tree
tar -xzf /scratch/t.tgz -C /scratch
exec diff -r /data/tree /scratch/tree
