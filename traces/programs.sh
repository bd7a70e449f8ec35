#!/bin/bash
# What execve maps of the programs that a recording runs, which strace does not show: a line
#   # program "PATH" text=BYTES data=BYTES zero=BYTES
# for each one, from its ELF sections (`size`, of binutils). On the machine of the recording:
#
#   traces/programs.sh my.strace >with-sizes.strace && cat my.strace >>with-sizes.strace
set -euo pipefail
[ $# = 1 ] && [ -r "$1" ] || { echo "usage: programs.sh RECORDING" >&2; exit 2; }
command -v size >/dev/null || { echo "programs.sh: needs 'size' (package binutils)" >&2; exit 1; }

{ grep -oE 'execve\("[^"]+"' "$1" || true; } | sort -u | sed 's/^execve("//; s/"$//' |
  while read -r program; do
    [ -r "$program" ] || continue
    size -d "$program" 2>/dev/null |
      awk -v path="$program" 'NR == 2 { printf "# program \"%s\" text=%d data=%d zero=%d\n", path, $1, $2, $3 }'
  done
