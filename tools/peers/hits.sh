#!/usr/bin/env bash
# How much processor time a hit costs, beside nginx serving the same bytes as files.
#
# One command: it installs nginx and wrk from Debian where they are missing, builds the release binary, makes one
# variant of about 8 kB and one of about 100 kB, and runs both servers on one core and the client on another, in
# turns, so that drifts of the machine meet both. Prints for every case the median over the rounds of processor
# microseconds per request, and the median of the per-round ratios other / reticulum (above 1: reticulum is cheaper).
#
#   tools/peers/hits.sh [rounds=10] [seconds per run=3]
set -euo pipefail
cd "$(dirname "$0")/../.."
rounds=${1:-10} seconds=${2:-3}
server_core=0 client_core=1 port=18080 nginx_port=18081 plain_port=18082

for tool in nginx wrk curl python3; do
  if ! command -v "$tool" >/dev/null; then
    apt-get update -qq && apt-get install -y -qq nginx-light wrk curl python3
  fi
done
cargo build --release --locked
binary=${CARGO_TARGET_DIR:-target}/release/reticulum

work=$(mktemp -d)
reticulum='' master=''
finish() {
  kill $reticulum $master 2>/dev/null || true
  wait 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT
mkdir "$work/files"
chmod 755 "$work" "$work/files"

# Waits until a URL answers, at most ten seconds.
await() {
  for _ in $(seq 100); do
    if curl -sf -o /dev/null "$1"; then return; fi
    sleep 0.1
  done
  echo "nobody answers at $1" >&2
  exit 1
}

taskset -c $server_core env RETICULUM_ACCESS_OPEN_UPLOADS=true "$binary" serve --data "$work/data" --listen 127.0.0.1:$port --shards 1 2>"$work/log" &
reticulum=$!
await "http://127.0.0.1:$port/readyz"

# Noise, as a PNG written by hand: the size of its variants follows their width.
python3 - "$work/noise.png" <<'PY'
import random, struct, sys, zlib
side, dice = 600, random.Random(1)
rows = b"".join(b"\0" + dice.randbytes(3 * side) for _ in range(side))
def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")
open(sys.argv[1], "wb").write(b"\x89PNG\r\n\x1a\n" + body)
PY
id=$(curl -sf --data-binary @"$work/noise.png" "http://127.0.0.1:$port/image" |
  python3 -c 'import json, sys; print(json.load(sys.stdin)["hash"])')
declare -A path bytes
for case in 8k:8000 100k:100000; do
  name=${case%:*} low=20 high=600
  while [ $((high - low)) -gt 1 ]; do
    middle=$(((low + high) / 2))
    got=$(curl -sf "http://127.0.0.1:$port/image/$id/${middle}w/x.jpg" | wc -c)
    if [ "$got" -lt "${case#*:}" ]; then low=$middle; else high=$middle; fi
  done
  path[$name]=/image/$id/${high}w/x.jpg
  curl -sf "http://127.0.0.1:$port${path[$name]}" -o "$work/files/$name.jpg"
  bytes[$name]=$(wc -c <"$work/files/$name.jpg")
done

cat >"$work/nginx.conf" <<CONF
worker_processes 1; daemon off; pid $work/nginx.pid; error_log /dev/null;
events { worker_connections 4096; }
http {
  types { image/jpeg jpg; }
  access_log off; keepalive_requests 100000000; keepalive_timeout 75s; tcp_nopush on;
  open_file_cache max=100 inactive=600s; open_file_cache_valid 600s;
  add_header Cache-Control "public, max-age=31536000, immutable";
  server { listen 127.0.0.1:$nginx_port; root $work/files; sendfile on; }
  server { listen 127.0.0.1:$plain_port; root $work/files; sendfile off; }
}
CONF
taskset -c $server_core nginx -c "$work/nginx.conf" &
master=$!
await "http://127.0.0.1:$nginx_port/8k.jpg"
nginx=$(pgrep -P "$master")

# The ETag of a URL.
etag() { curl -sI "$1" | tr -d '\r' | sed -n 's/^[Ee][Tt]ag: //p'; }
tag=$(etag "http://127.0.0.1:$port${path[8k]}")
nginx_tag=$(etag "http://127.0.0.1:$nginx_port/8k.jpg")

# Processor time of a process with all its threads, in hundredths of a second.
ticks() { awk '{print $14 + $15}' "/proc/$1/stat"; }

# run NAME PID CONNECTIONS URL [HEADER]
run() {
  local before after requests header=()
  if [ $# -gt 4 ]; then header=(-H "$5"); fi
  before=$(ticks "$2")
  taskset -c $client_core wrk -t1 -c"$3" -d"${seconds}s" "${header[@]}" "$4" >"$work/wrk"
  after=$(ticks "$2")
  requests=$(awk '/requests in/ {print $1}' "$work/wrk")
  if grep -qE 'Socket errors|Non-2xx' "$work/wrk"; then cat "$work/wrk" >&2; exit 1; fi
  echo "$1 $(((after - before) * 10000)) $requests $seconds" >>"$work/results"
}

for _ in $(seq "$rounds"); do
  for connections in 16 256; do
    for name in 8k 100k; do
      run "$name/$connections/reticulum" $reticulum $connections "http://127.0.0.1:$port${path[$name]}"
      run "$name/$connections/nginx" "$nginx" $connections "http://127.0.0.1:$nginx_port/$name.jpg"
      run "$name/$connections/nginx-without-sendfile" "$nginx" $connections "http://127.0.0.1:$plain_port/$name.jpg"
    done
    run "304/$connections/reticulum" $reticulum $connections "http://127.0.0.1:$port${path[8k]}" "If-None-Match: $tag"
    run "304/$connections/nginx" "$nginx" $connections "http://127.0.0.1:$nginx_port/8k.jpg" "If-None-Match: $nginx_tag"
  done
done

echo "8k is ${bytes[8k]} bytes, 100k is ${bytes[100k]}; $rounds rounds of $seconds s; $(nginx -v 2>&1)"
python3 - "$work/results" <<'PY'
import statistics, sys
cost, rate = {}, {}
for line in open(sys.argv[1]):
    name, microseconds, requests, seconds = line.split()
    cost.setdefault(name, []).append(int(microseconds) / int(requests))
    rate.setdefault(name, []).append(int(requests) / float(seconds))
print(f"{'case/connections/server':34} {'us/request':>10} {'requests/s':>10} {'cpu ratio':>10}")
for name in cost:
    case, connections, server = name.split("/")
    mine = cost[f"{case}/{connections}/reticulum"]
    ratio = statistics.median(other / own for other, own in zip(cost[name], mine))
    shown = "" if server == "reticulum" else f"{ratio:10.2f}"
    print(f"{name:34} {statistics.median(cost[name]):10.1f} {statistics.median(rate[name]):10.0f} {shown}")
PY
