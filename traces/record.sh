#!/bin/bash
# Records the shipped traces again: compile, postgres and redis, each under strace.
#
#   traces/record.sh [OUTPUT_FOLDER [NAME...]]     default: this folder, all three
#
# For Debian or Ubuntu, as root (packages; PostgreSQL runs as the user its package makes). Servers
# listen on UNIX sockets below one scratch folder only, every step is bounded in time, and what was
# started is stopped. Takes about three minutes. See README.md for what is recorded.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
out=$(realpath "${1:-$here}")
shift || true
names=${*:-compile postgres redis}
scratch=/tmp/record
thp=/sys/kernel/mm/transparent_hugepage/enabled
thp_before=
pids=()

stop_all() {
  [ -z "$thp_before" ] || echo "$thp_before" >$thp
  for pid in "${pids[@]}"; do kill -INT "$pid" 2>/dev/null || true; done
  rm -rf "$scratch"
}
trap stop_all EXIT

[ "$(id -u)" = 0 ] || { echo "record.sh: needs root to install packages" >&2; exit 1; }
command -v apt-get >/dev/null || { echo "record.sh: needs apt-get (Debian, Ubuntu)" >&2; exit 1; }
[ -e "$scratch" ] && { echo "record.sh: $scratch exists; remove it first" >&2; exit 1; }
mkdir -m 755 "$scratch"
cd "$scratch"
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
# What is recorded sees a plain environment, not that of whoever records.
plain=(env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C HOME=/nonexistent)

# All system calls, with absolute times. Strings are cut to nothing (paths of files are always
# printed in full): smaller, and no data of the recorded machine.
trace=(strace -f -s 0)
ms=--absolute-timestamps=format:unix,precision:ms

# The sizes of the programs, and the recording with nothing that names the machine: uname prints its
# host name.
pack() {
  {
    "$here/programs.sh" "$scratch/$1.strace"
    sed -E 's/nodename="[^"]*"/nodename="host"/' "$scratch/$1.strace"
  } | zstd -q -19 >"$scratch/$1.strace.zst"
  # All of it, and through whatever link or mode the old one has.
  cat "$scratch/$1.strace.zst" >"$out/$1.strace.zst"
  printf '%s: %s lines, %s processes and threads, %s bytes\n' "$1" "$(wc -l <"$scratch/$1.strace")" \
    "$(awk '{print $1}' "$scratch/$1.strace" | sort -u | wc -l)" "$(stat -c %s "$out/$1.strace.zst")"
}

# Waits until the command succeeds, at most 30 seconds.
wait_for() {
  for _ in $(seq 300); do
    "$@" >/dev/null 2>&1 && return 0
    sleep 0.1
  done
  echo "record.sh: gave up waiting for: $*" >&2
  return 1
}

# The upstream sources of a Debian package, unpacked below the scratch folder, through a package list of its
# own: the machine's configuration stays as it is.
get_source() {
  mkdir -p "$scratch"/apt/parts "$scratch"/apt/lists/partial
  cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null |
    sed -n 's/^deb /deb-src /p' >"$scratch/apt/parts/all.list" || true
  for file in /etc/apt/sources.list.d/*.sources; do
    [ -e "$file" ] && sed 's/^Types:.*/Types: deb-src/' "$file" >"$scratch/apt/parts/$(basename "$file")"
  done
  local options=(-q -o Dir::Etc::SourceList=/dev/null -o "Dir::Etc::SourceParts=$scratch/apt/parts"
    -o "Dir::State::Lists=$scratch/apt/lists" -o APT::Sandbox::User=root)
  apt-get "${options[@]}" update >/dev/null
  apt-get "${options[@]}" source --download-only "$1" >/dev/null
  mkdir "$scratch/$1"
  tar -xf "$scratch/$1"_*.orig.tar.* -C "$scratch/$1" --strip-components=1
}

# Lua's library and its two programs: 34 compilations, archive and links, two at a time. Times in
# whole seconds: a third less to store.
record_compile() {
  apt-get install -qy --no-install-recommends dpkg-dev gcc libc6-dev make >/dev/null
  get_source lua5.4
  cd "$scratch/lua5.4/src"
  "${plain[@]}" timeout 300 "${trace[@]}" \
    --absolute-timestamps=format:unix,precision:s -o "$scratch/compile.strace" make -j2 generic
  cd "$scratch"
  pack compile
}

record_postgres() {
  apt-get install -qy --no-install-recommends postgresql postgresql-contrib >/dev/null
  local bin
  bin=$(pg_config --bindir 2>/dev/null || find /usr/lib/postgresql -name bin | sort -V | tail -1)
  mkdir "$scratch/pg"
  chown postgres "$scratch/pg"
  cd "$scratch/pg"
  runuser -u postgres -- "$bin/initdb" -D "$scratch/pg/data" -A trust >/dev/null
  cat >>"$scratch/pg/data/postgresql.conf" <<EOF
listen_addresses = ''
unix_socket_directories = '$scratch/pg'
shared_buffers = 128MB
EOF
  # The data are made before the recording starts.
  runuser -u postgres -- "$bin/pg_ctl" -D "$scratch/pg/data" -w -l "$scratch/pg/log" start >/dev/null
  runuser -u postgres -- "$bin/pgbench" -h "$scratch/pg" -q -i -s 2 postgres >/dev/null 2>&1
  runuser -u postgres -- "$bin/pg_ctl" -D "$scratch/pg/data" -w stop >/dev/null

  runuser -u postgres -- "${plain[@]}" timeout 300 "${trace[@]}" $ms \
    -o "$scratch/pg/postgres.strace" \
    "$bin/postgres" -D "$scratch/pg/data" >"$scratch/pg/log" 2>&1 &
  pids+=($!)
  wait_for "$bin/pg_isready" -q -h "$scratch/pg"
  # Four clients, a new connection (a forked server process) for each transaction.
  runuser -u postgres -- timeout 120 "$bin/pgbench" -h "$scratch/pg" -n -C -c 4 -j 2 -t 30 postgres
  runuser -u postgres -- "$bin/pg_ctl" -D "$scratch/pg/data" -w -m fast stop >/dev/null
  wait "${pids[-1]}" || true
  mv "$scratch/pg/postgres.strace" "$scratch/postgres.strace"
  cd "$scratch"
  pack postgres
}

# With transparent huge pages on "always", Debian's default, Redis switches them off for itself, by a
# call that is then in the trace; the setting is put back afterwards.
record_redis() {
  apt-get install -qy --no-install-recommends redis-server redis-tools >/dev/null
  thp_before=$(sed 's/.*\[\(.*\)\].*/\1/' $thp)
  echo always >$thp
  mkdir "$scratch/redis"
  cd "$scratch/redis"
  local socket=$scratch/redis/socket
  "${plain[@]}" timeout 300 "${trace[@]}" $ms -o "$scratch/redis.strace" \
    redis-server --port 0 --unixsocket "$socket" --dir "$scratch/redis" --save '' --appendonly no \
    --rdbcompression no --enable-debug-command local --loglevel warning &
  pids+=($!)
  wait_for redis-cli -s "$socket" ping
  # 240,000 keys with values of 512 bytes: about 170 MB.
  redis-cli -s "$socket" debug populate 240000 key 512 >/dev/null
  redis-cli -s "$socket" bgsave >/dev/null
  # New keys are written while the child saves.
  timeout 60 redis-benchmark -s "$socket" -q -c 4 -n 16000 -r 240000 SET key:__rand_int__ v
  for _ in $(seq 600); do
    redis-cli -s "$socket" info persistence | grep -q 'rdb_bgsave_in_progress:0' && break
    sleep 0.1
  done
  redis-cli -s "$socket" shutdown nosave || true
  wait "${pids[-1]}" || true
  cd "$scratch"
  pack redis
}

apt-get update -q >/dev/null
apt-get install -qy --no-install-recommends binutils strace zstd >/dev/null
for name in $names; do
  case $name in
    compile | postgres | redis) "record_$name" ;;
    *) echo "record.sh: '$name' is none of compile, postgres, redis" >&2; exit 1 ;;
  esac
done
