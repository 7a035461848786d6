#!/usr/bin/env python3
"""Two builds of reticulum against each other, in turns: rate and processor time of hits and of cold thumbnails.

    RETICULUM_CORPUS=… tools/peers/paired.py OLD NEW [--rounds 10] [--seconds 3]

Each round starts both binaries one after the other, the order changing from round to round, with one shard on core 0; the
client (wrk, from the package of that name) runs on core 1. Hits are an 8 kB and a 100 kB variant and a 304; cold thumbnails
are new sizes of photos of 12 and 2 megapixels, one at a time. Processor time is that of the node with its children, all
threads, read when it has come to rest after the answers, and divided by their number. Prints the medians over the rounds,
and of the ratio new / old the median with its quartiles; exits 1 when a median is worse than by 3 %.
"""

import argparse, pathlib, re, shutil, statistics, subprocess, sys, time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from harness import pictures
from harness.node import Node

PORT = 18300
HITS = [("hit 8 kB", 8_000, {}), ("hit 100 kB", 100_000, {}), ("304", 8_000, {"If-None-Match": None})]
COLD = [("cold 12 MP", "cranes-12mp-420.jpg"), ("cold 2 MP", "adobe-rgb-2mp.jpg")]
COLD_COUNT = 40


def at_rest(node, step=0.2, seconds=20):
    """The node's processor time once it does not grow any more."""
    last, end = node.processor_seconds(), time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(step)
        now = node.processor_seconds()
        # A node at rest wakes a little.
        if now - last < 0.002 * step / 0.2:
            return now
        last = now
    return last


def width_of(node, id, bytes_wanted):
    """The width whose JPEG has about so many bytes."""
    low, high = 20, 600
    while high - low > 1:
        middle = (low + high) // 2
        if len(node.get(f"/image/{id}/{middle}w/x.jpg")[1]) < bytes_wanted:
            low = middle
        else:
            high = middle
    return high


def hit(node, path, headers, seconds, connections):
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s"]
    for name, value in headers.items():
        command += ["-H", f"{name}: {value}"]
    url = f"http://127.0.0.1:{PORT}{path}"
    if shutil.which("taskset"):
        command = ["taskset", "-c", "1", *command]
    before = at_rest(node)
    told = subprocess.run([*command, url], capture_output=True, text=True, check=True).stdout
    used = at_rest(node) - before
    if "Non-2xx" in told or "Socket errors" in told:
        raise SystemExit(told)
    requests, took = re.search(r"(\d+) requests in ([\d.]+)s", told).groups()
    return int(requests) / float(took), used / int(requests)


def cold(node, id):
    before, began = at_rest(node), time.monotonic()
    for number in range(COLD_COUNT):
        status, body, _ = node.get(f"/image/{id}/{211 + 7 * number}w/x.jpg")
        if status != 200:
            raise SystemExit(f"a thumbnail was answered {status}: {body[:300]!r}")
    took = time.monotonic() - began
    return COLD_COUNT / took, (at_rest(node) - before) / COLD_COUNT


def measure(binary, photos, options):
    """Rate and processor seconds of a request, by case."""
    results = {}
    with Node(binary, PORT, {0}) as node:
        noise = node.upload(pictures.noise(600, 600))
        widths = {size: width_of(node, noise, size) for size in {8_000, 100_000}}
        for name, size, headers in HITS:
            path = f"/image/{noise}/{widths[size]}w/x.jpg"
            tag = node.get(path)[2]["ETag"]
            headers = {name: value or tag for name, value in headers.items()}
            for connections in options.connections:
                results[f"{name}, {connections} connections"] = hit(node, path, headers, options.seconds, connections)
        for name, photo in photos:
            results[name] = cold(node, node.upload(photo))
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("old")
    parser.add_argument("new")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=int, default=3, help="of each run of hits")
    parser.add_argument("--connections", type=int, nargs="+", default=[16, 256])
    options = parser.parse_args()
    if not shutil.which("wrk"):
        raise SystemExit("wrk is missing: apt-get install wrk")
    photos = [(name, body) for name, file in COLD for found, body in pictures.photos([file], ("photos", "color")) if found == file]
    if len(photos) < len(COLD):
        raise SystemExit("the photos are missing: set RETICULUM_CORPUS to the folder with MANIFEST.tsv")
    rounds = []
    for number in range(options.rounds):
        order = ["old", "new"] if number % 2 == 0 else ["new", "old"]
        rounds.append({name: measure(getattr(options, name), photos, options) for name in order})
        print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
    worse = False
    print(f"{'median of ' + str(options.rounds) + ' rounds':28} {'old/s':>9} {'new/s':>9} {'ratio':>6} {'old us':>9} {'new us':>9} {'ratio':>6} {'quartiles':>12}")
    for case in rounds[0]["old"]:
        rate = {name: [one[name][case][0] for one in rounds] for name in ("old", "new")}
        cost = {name: [one[name][case][1] * 1e6 for one in rounds] for name in ("old", "new")}
        rates = statistics.median(new / old for new, old in zip(rate["new"], rate["old"]))
        ratios = [new / old for new, old in zip(cost["new"], cost["old"])]
        middle = statistics.median(ratios)
        low, _, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else (middle,) * 3
        worse |= middle > 1.03
        of = statistics.median
        print(
            f"{case:28} {of(rate['old']):9.1f} {of(rate['new']):9.1f} {rates:6.3f} {of(cost['old']):9.1f} {of(cost['new']):9.1f}"
            f" {middle:6.3f} {low:5.3f}-{high:5.3f}{'  WORSE' if middle > 1.03 else ''}"
        )
    sys.exit(1 if worse else 0)


if __name__ == "__main__":
    main()
