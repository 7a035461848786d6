"""The rounds of images.sh: FOLDER WORK ROUNDS KIND…"""

import json, os, statistics, subprocess, sys

folder, work, rounds, kinds = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4:]
peers, home, photos = os.path.dirname(os.path.abspath(__file__)), os.environ["SHARP_HOME"], os.environ["RETICULUM_PHOTOS"]

# kind: photo's size and way of writing it, and of the thumbnail reticulum's spec, width, height, extension; how often
KINDS = {
    "12mp": (4000, 3000, "baseline", "300w,q80", 300, 0, "jpg", 20),
    "24mp": (6000, 4000, "baseline", "300w,q80", 300, 0, "jpg", 12),
    "2mp": (1600, 1200, "baseline", "300w,q80", 300, 0, "jpg", 60),
    "12mp-progressive": (4000, 3000, "progressive", "300w,q80", 300, 0, "jpg", 8),
    "4mp-png": (2400, 1700, "png", "300w", 300, 0, "png", 8),
    "4mp-webp": (2400, 1700, "webp", "300w,q80", 300, 0, "webp", 8),
    "12mp-crop": (4000, 3000, "baseline", "200s,q80", 200, 200, "jpg", 20),
    "12mp-later": (4000, 3000, "baseline", "300w,q80", 300, 0, "jpg", 40),
}
ENDS = {"baseline": "jpg", "progressive": "jpg", "png": "png", "webp": "webp"}


def run(*command):
    pinned = ["taskset", "-c", "0", *map(str, command)]
    return subprocess.run(pinned, check=True, capture_output=True, text=True, env={**os.environ, "VIPS_CONCURRENCY": "1"}).stdout


def measure(photo, kind):
    _, _, _, spec, width, height, extension, count = KINDS[kind]
    makers = {
        "reticulum": (photos, photo, spec, extension, count),
        "sharp": ("node", f"{peers}/sharp.mjs", "make", photo, width, height, extension, count),
        "libvips": (f"{home}/vips", photo, width, height, extension, count),
    }
    outs = {name: f"{work}/{name}.{extension}" for name in makers}
    last = {name: [] for name in makers}
    if kind.endswith("-later"):
        # The others keep nothing between two sizes.
        last["reticulum"] = [f"{work}/samples"]
    results = {name: [] for name in makers}
    for _ in range(rounds):
        for name, command in makers.items():
            results[name].append(json.loads(run(*command, outs[name], *last[name])))
    scores = run(f"{home}/score/release/score", photo, *outs.values()).splitlines()
    return results, {maker: tuple(map(float, line.split())) for maker, line in zip(makers, scores)}


sources = sorted(os.path.join(folder, name) for name in os.listdir(folder) if name.endswith((".jpg", ".png")))
for kind in kinds:
    wide, high, way = KINDS[kind][:3]
    rows = {}
    for number, source in enumerate(sources):
        photo = f"{work}/{kind}-{number}.{ENDS[way]}"
        run("node", f"{peers}/sharp.mjs", "photo", source, wide, high, way, photo)
        results, scores = measure(photo, kind)
        own = [result["us"] for result in results["reticulum"]]
        for name, list in results.items():
            times = [result["us"] for result in list]
            ratio = statistics.median(other / mine for other, mine in zip(times, own))
            last = list[-1]
            rows.setdefault(name, []).append((statistics.median(times) / 1000, ratio, last["bytes"], last["peak_kib"] / 1024, *scores[name]))
        os.remove(photo)
    print(f"{kind} -> {KINDS[kind][3]}.{KINDS[kind][6]}, {len(sources)} photos")
    for name, values in rows.items():
        ms, ratio, length, peak, encoded, linear = (statistics.median(column) for column in zip(*values))
        print(f"  {name:10} {ms:8.1f} ms  {1000 / ms:6.1f}/s  ratio {ratio:5.2f}  {length:7.0f} bytes  {peak:6.0f} MiB  SSIMULACRA2 {encoded:6.2f} / {linear:6.2f}", flush=True)
