#!/usr/bin/env bash
# How much processor time a thumbnail costs, beside sharp and libvips making the same one on one core.
#
# One command: it installs libvips (Debian) and sharp (npm) where they are missing, makes photos of each kind from a
# folder of pictures (JPEG and PNG, at least eight are wanted), and lets all three make the same thumbnails in turns.
# Prints for each kind the medians over the photos of processor milliseconds (each the median of the rounds), the
# median of the ratios other / reticulum, bytes, peak resident memory, and SSIMULACRA2 against a whole decode scaled by
# Lanczos in stored values / in linear light. sharp runs with what it does by default, and as all of them with quality 80 and one thread.
#
#   tools/peers/images.sh FOLDER [rounds=3] [kinds…]
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=$(realpath "$1") rounds=${2:-3}
shift $(($# < 2 ? $# : 2))
if [ $# -eq 0 ]; then set -- 12mp 24mp 2mp 12mp-progressive 4mp-png 4mp-webp 12mp-crop 12mp-later; fi

if ! pkg-config --exists vips || ! command -v npm >/dev/null; then
  apt-get update -qq && apt-get install -y -qq gcc libvips-dev pkg-config npm
fi
export SHARP_HOME=${CARGO_TARGET_DIR:-target}/peers
mkdir -p "$SHARP_HOME"
SHARP_HOME=$(realpath "$SHARP_HOME")
[ -d "$SHARP_HOME/node_modules/sharp" ] || npm install --silent --no-audit --no-fund --prefix "$SHARP_HOME" sharp
gcc -O2 -o "$SHARP_HOME/vips" tools/peers/vips.c $(pkg-config --cflags --libs vips)
cargo build --release --quiet --manifest-path tools/peers/score/Cargo.toml --target-dir "$SHARP_HOME/score"
photos=$(cargo bench --locked --bench variant --no-run --message-format=json 2>/dev/null |
  python3 -c 'import json, sys; print([m["executable"] for m in map(json.loads, sys.stdin) if m.get("executable") and m["target"]["name"] == "variant"][-1])')

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo "reticulum, sharp $(node -p 'require(process.env.SHARP_HOME + "/node_modules/sharp").versions.sharp'), libvips $(pkg-config --modversion vips); $rounds rounds"
RETICULUM_PHOTOS=$photos python3 tools/peers/images.py "$folder" "$work" "$rounds" "$@"
