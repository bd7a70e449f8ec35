#!/bin/bash
# What execve maps of programs, which strace does not show: a line
#   # program "PATH" text=BYTES data=BYTES zero=BYTES
# for each one, from its ELF program headers (readelf, of binutils; of any architecture), and
#   # link "PATH" -> "TARGET"
# for each other name of one: a symbolic link, on the way to it too, or a script with its interpreter.
#
#   traces/programs.sh my.strace >sized.strace && cat my.strace >>sized.strace
#       the programs of a recording, plain, .gz or .zst, on the machine of the recording
#   traces/programs.sh DIRECTORY >sizes.txt
#       all programs below a directory, by their paths there: of a system's root, or of unpacked packages
set -euo pipefail
[ $# = 1 ] && [ -r "$1" ] || { echo "usage: programs.sh RECORDING|DIRECTORY" >&2; exit 2; }
command -v readelf >/dev/null || { echo "programs.sh: needs 'readelf' (package binutils)" >&2; exit 1; }
export LC_ALL=C

root=
[ -d "$1" ] && root=$(realpath "$1")
[ "$root" = / ] && root=

unpacked() {
  case $1 in
    *.gz) zcat "$1" ;;
    *.zst) zstdcat "$1" ;;
    *) cat "$1" ;;
  esac
}

paths() {
  if [ -d "$1" ]; then
    # A link whose target is in another package is a link all the same.
    (cd "$1" && find . -maxdepth 1 -type l -printf '/%P\n' &&
      find . \( -type f -perm -u+x -o -type l -path '*bin/*' \) -printf '/%P\n')
  else
    { unpacked "$1" | grep -oE 'execve\("[^"]+"' || true; } | sed 's/^execve("//; s/"$//'
  fi
}

declare -A seen
work=()

# The links on the way along a path, each once; what they lead to comes into the work. False if there
# are any: the kernel loads what the last one leads to.
follow() {
  local done= left=$1 part target steps=0
  case $left in /*) ;; *) return 0 ;; esac
  while [ -n "$left" ]; do
    left=${left#/}
    part=${left%%/*}
    case $left in */*) left=${left#*/} ;; *) left= ;; esac
    case $part in
      '' | .) continue ;;
      ..) done=${done%/*}; continue ;;
    esac
    done=$done/$part
    [ -L "$root$done" ] || continue
    steps=$((steps + 1))
    [ $steps -le 40 ] || return 1
    target=$(readlink "$root$done")
    if [ -z "${seen[$done]:-}" ]; then
      seen[$done]=1
      echo "# link \"$done\" -> \"$target\""
    fi
    case $target in /*) done= ;; *) done=${done%/*} ;; esac
    left=$target${left:+/$left}
  done
  [ "$done" = "$1" ] && return 0
  work+=("$done")
  return 1
}

# The size of the program a path is, or the interpreter of the script.
size() {
  local path=$1 headers text=0 data=0 zero=0 type file memory flags first
  [ -z "${seen[=$path]:-}" ] && [ -r "$root$path" ] && [ -f "$root$path" ] || return 0
  seen[=$path]=1
  if [ "$(head -c 2 "$root$path" | tr -d '\0')" = '#!' ]; then
    IFS=' ' read -r first _ < <(head -n 1 "$root$path" | tr -d '\r' | sed 's/^#![ \t]*//'; echo)
    case $first in
      /*) echo "# link \"$path\" -> \"$first\""; work+=("$first") ;;
    esac
    return 0
  fi
  headers=$(readelf -lW "$root$path" 2>/dev/null) || return 0
  [[ $headers == *INTERP* || $headers == *"file type is EXEC"* ]] || return 0
  while read -r type _ _ _ file memory flags; do
    [ "$type" = LOAD ] || continue
    case $flags in
      *W*) data=$((data + file)) zero=$((zero + memory - file)) ;;
      *) text=$((text + file)) ;;
    esac
  done <<<"$headers"
  echo "# program \"$path\" text=$text data=$data zero=$zero"
}

mapfile -t work < <(paths "$1" | sort -u)
for ((i = 0; i < ${#work[@]}; ++i)); do
  path=${work[i]}
  [ -n "$path" ] && [ -z "${seen[+$path]:-}" ] || continue
  seen[+$path]=1
  if follow "$path"; then size "$path"; fi
done
