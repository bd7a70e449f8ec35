#!/bin/bash
# What execve maps of programs, which strace does not show: a line
#   # program "PATH" text=BYTES data=BYTES zero=BYTES
# for each one, from its ELF program headers (readelf, of binutils; of any architecture).
#
#   traces/programs.sh my.strace >sized.strace && cat my.strace >>sized.strace
#       the programs of a recording, on the machine of the recording
#   traces/programs.sh DIRECTORY >sizes.txt
#       all programs below a directory, by their paths there: of a system's root, or of unpacked packages
set -euo pipefail
[ $# = 1 ] && [ -r "$1" ] || { echo "usage: programs.sh RECORDING|DIRECTORY" >&2; exit 2; }
command -v readelf >/dev/null || { echo "programs.sh: needs 'readelf' (package binutils)" >&2; exit 1; }

root=
paths() {
  if [ -d "$1" ]; then
    (cd "$1" && find . -xtype f -perm -u+x -printf '/%P\n')
  else
    { grep -oE 'execve\("[^"]+"' "$1" || true; } | sed 's/^execve("//; s/"$//'
  fi
}
[ -d "$1" ] && root=${1%/}

paths "$1" | LC_ALL=C sort -u | while read -r path; do
  [ -r "$root$path" ] || continue
  headers=$(LC_ALL=C readelf -lW "$root$path" 2>/dev/null) || continue
  [[ $headers == *INTERP* || $headers == *"file type is EXEC"* ]] || continue
  text=0 data=0 zero=0
  while read -r type _ _ _ file memory flags; do
    [ "$type" = LOAD ] || continue
    case $flags in
      *W*) data=$((data + file)) zero=$((zero + memory - file)) ;;
      *) text=$((text + file)) ;;
    esac
  done <<<"$headers"
  echo "# program \"$path\" text=$text data=$data zero=$zero"
done
