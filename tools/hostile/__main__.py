"""A hostile mix against one node, and a legitimate client in the middle of it.

    python3 tools/hostile BINARY [--minutes 15] [--json FILE]

Slow forms, slow readers, floods of variants, huge AVIF encodes, pipelined garbage, a crowd that says /cluster/ and idle
connections, each from an address of its own, run at once against `reticulum serve --shards 1` with default limits. Prints
what the legitimate client met and what the node used, beside the bounds; exits 1 when one is not kept. RETICULUM_…
variables change the node's configuration, and the bounds follow it. The node is pinned to one core, everything else to the
others, the attackers at nice 19.
"""

import argparse, collections, itertools, json, multiprocessing, os, pathlib, queue, resource, signal, statistics, sys, threading, time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from harness import pictures
from harness.node import Node, bytes_of, die_with_parent, disk_usage, seconds_of
from hostile import attacks, client

MIB = 1 << 20
PHOTOS = ["cranes-12mp-420.jpg", "treecreeper-24mp-420.jpg", "bird-lamp-6mp-444.jpg", "kodim03.png", "bowl-4mp-lossy.webp"]
QUIET_SECONDS = 3


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("binary", help="the reticulum to attack")
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--json", help="write all figures to this file")
    parser.add_argument("--port", type=int, default=18200)
    parser.add_argument("--core", type=int, default=0, help="where the node runs (default 0)")
    parser.add_argument("--folder", help="where the node's data goes (default: the temporary folder)")
    parser.add_argument("--log", help="keep the node's log here")
    parser.add_argument("--only", help="these attacks only, separated by commas (`none`: the client alone)")
    parser.add_argument("--hits", type=float, default=100, help="hits a second (default 100)")
    parser.add_argument("--flood", type=float, default=1500, help="variants a second (default 1500)")
    return parser.parse_args()


def prepare(node):
    """Uploads the pictures; gives their ids."""
    photos = [node.upload(body) for _, body in pictures.photos(PHOTOS)]
    noise = node.upload(pictures.noise(1200, 900))
    # Made before the attack, so that slow readers have something large to hold even where nothing new is made for them.
    ready = [f"/image/{noise}/{width}w,up/x.png" for width in (7000, 7001)]
    for path in ready:
        if (status := node.get(path)[0]) != 200:
            print(f"hostile: a large variant for the slow readers is answered {status}", file=sys.stderr)
    return {
        "photos": photos,
        "tiny": node.upload(pictures.noise(8, 8)),
        "noise": noise,
        "ready": ready,
        "huge": node.upload(pictures.flat(10_000, 10_000)),
    }


def mix(target, ids, hot, flood_rate):
    """The attacks: name, function and its arguments."""
    tiny, noise, huge, photos = ids["tiny"], ids["noise"], ids["huge"], ids["photos"]
    small = (f"/image/{tiny}/{1 + n % 8}w{1 + n // 8 % 8}h,pad,bg-{n:06x}/x.png" for n in range(1 << 24))
    sizes = ((width, height) for width in range(300, 1500) for height in range(200, 1200))
    middle = (f"/image/{photos[n % len(photos)]}/{w}w{h}h,fill/x.jpg" for n, (w, h) in enumerate(sizes))
    # 36 megapixels of noise and more: files of 40 to 110 MB.
    fresh = (f"/image/{noise}/{width}w,up/x.{kind}" for width in range(7002, 8192) for kind in ("gif", "png"))
    large = itertools.chain.from_iterable(zip(itertools.cycle(ids["ready"]), fresh))
    endless = itertools.count()
    avif = (
        f"/image/{tiny}/{8192 - n % 4000}s,up/x.avif" if n % 2 else f"/image/{huge}/full,q{1 + n // 2 % 100}/x.avif"
        for n in endless
    )
    at = attacks.address_of
    return [
        ("slow forms", attacks.slow_forms, (target, at(0x10A), 96)),
        ("slow readers", attacks.slow_readers, (target, at(0x10B), 12, large)),
        ("flood of small variants", attacks.flood, (target, at(0x10C), 64, flood_rate, small)),
        ("flood of photos", attacks.flood, (target, at(0x10D), 32, 100, middle)),
        ("huge AVIFs", attacks.huge_avifs, (target, at(0x10E), 8, avif)),
        ("garbage", attacks.garbage, (target, at(0x10F), 12, hot)),
        ("cluster crowd", attacks.crowd, (target, at(0x110), 400)),
        ("idle", attacks.idlers, (target, [at(0x200 + n) for n in range(16)], 600, hot)),
    ]


def worker(name, cores, nice, work, stop, out, values):
    """The body of a process: works until `stop`, then tells what it saw and how much processor time it took."""
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(nice)
    os.sched_setaffinity(0, cores)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        result = work(stop, *values)
    except Exception as error:
        result = error
    used = resource.getrusage(resource.RUSAGE_SELF)
    out.put((name, result, used.ru_utime + used.ru_stime))


class Crew:
    """Processes that work until they are told to stop."""

    def __init__(self, cores):
        # Forked: generators of paths are inherited, not sent.
        self.context = multiprocessing.get_context("fork")
        self.cores, self.out, self.stop, self.processes = cores, self.context.Queue(), self.context.Event(), {}

    def start(self, name, nice, work, values):
        process = self.context.Process(
            target=worker, args=(name, self.cores, nice, work, self.stop, self.out, values), daemon=True
        )
        process.start()
        self.processes[name] = process

    def finish(self, seconds=30):
        """Stops all; results and processor seconds by name."""
        self.stop.set()
        results, used, end = {}, {}, time.monotonic() + seconds
        while len(results) < len(self.processes) and time.monotonic() < end:
            try:
                name, results[name], used[name] = self.out.get(timeout=0.5)
            except queue.Empty:
                pass
        for process in self.processes.values():
            process.join(1)
            if process.is_alive():
                process.kill()
                process.join()
        missing = [name for name in self.processes if name not in results]
        faults = {name: repr(result) for name, result in results.items() if isinstance(result, Exception)}
        if missing or faults:
            print(f"hostile: without a result: {missing}, failed: {faults}", file=sys.stderr)
        return results, used, missing + list(faults)


class Watch(threading.Thread):
    """Samples the node's memory four times a second and its cache's disk usage as often as is cheap."""

    def __init__(self, node, cores):
        super().__init__(daemon=True)
        self.node, self.cores, self.done = node, cores, threading.Event()
        self.resident = self.children = self.disk = self.folders = self.files = self.samples = self.walks = 0

    def run(self):
        walking = threading.Thread(target=self.walk, daemon=True)
        walking.start()
        while not self.done.wait(0.25):
            own, below = self.node.resident()
            self.samples += 1
            self.resident, self.children = max(self.resident, own + below), max(self.children, below)
        walking.join(120)

    def walk(self):
        while True:
            last, began = self.done.is_set(), time.monotonic()
            files, blocks, folders = disk_usage(os.path.join(self.node.data, "cache"))
            self.walks += 1
            self.files, self.disk = max(self.files, files), max(self.disk, blocks + folders)
            self.folders = max(self.folders, folders)
            if last:
                return
            self.done.wait(max(2.0, 10 * (time.monotonic() - began)))


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def quantiles(times):
    return {name: round(percentile(times, share) * 1000, 2) for name, share in [("p50", 0.5), ("p99", 0.99), ("p999", 0.999), ("max", 1)]}


def judge(report, config, lost):
    """The promises: name, what was met, the bound, and whether it holds."""
    hits, cold = report["hits"], report["cold"]
    bound = bytes_of(config["cache"]["memory"]) + bytes_of(config["limits"]["decode_memory"]) + 150 * MIB
    disk = bytes_of(config["cache"]["disk"])
    share = cold["in_time"] / cold["asked"] if cold["asked"] else 0.0
    failed = sum(hits["failed"].values())
    uploads = report["uploads"]
    return [
        ("hits, 99th percentile", f"{hits['ms']['p99']:.2f} ms", "<= 20 ms", hits["ms"]["p99"] <= 20),
        ("hits that failed", f"{failed} of {hits['asked']}", "0", hits["asked"] > 0 and failed == 0),
        ("cold answered within the deadline", f"{share:.1%} of {cold['asked']}", ">= 95 %", share >= 0.95),
        ("resident at most", f"{report['resident_bytes'] / MIB:.0f} MiB", f"<= {bound / MIB:.0f} MiB", report["resident_bytes"] <= bound),
        ("cache on disk at most", f"{report['disk_bytes'] / MIB:.0f} MiB", f"<= {disk / MIB:.0f} MiB", report["disk_bytes"] <= disk),
        ("uploads with a key answered 200", f"{uploads['in_time']} of {uploads['asked']}", "all", uploads["in_time"] == uploads["asked"]),
        ("the node still answers", str(report["alive"]), "True", report["alive"]),
        ("attackers that broke", ", ".join(lost) or "none", "none", not lost),
    ]


def summarize(results, start, deadline):
    """What the legitimate client met from `start` on."""
    hits = results.get("hits")
    hits = hits if isinstance(hits, dict) else {"times": [], "failed": {"no result": 1}, "caches": {}}
    during = [took for when, took in hits["times"] if when >= start]

    def spaced(name):
        done = results.get(name)
        done = [one for one in done if one[0] >= start] if isinstance(done, list) else []
        return {
            "asked": len(done),
            "in_time": sum(status == "200" and took <= deadline for _, status, took in done),
            "statuses": dict(collections.Counter(str(status) for _, status, _ in done)),
            "ms": quantiles([took for _, _, took in done]),
        }

    return {
        "hits": {
            "asked": len(during),
            "failed": dict(hits["failed"]),
            "by_cache": dict(hits["caches"]),
            "ms": quantiles(during),
            "ms_before_the_attack": quantiles([took for when, took in hits["times"] if when < start]),
        },
        "cold": spaced("cold"),
        "uploads": spaced("uploads"),
    }


def siege(node, options, others):
    """Runs the mix; gives the report and the attackers that broke."""
    target = ("127.0.0.1", options.port)
    ids = prepare(node)
    hot = f"/image/{ids['photos'][0]}/300w/x.jpg"
    for _ in range(3):
        status, expected, _ = node.get(hot)
        if status != 200:
            raise SystemExit(f"the hot variant is answered {status}")
    deadline = seconds_of(node.config["limits"]["resize_deadline"])
    wanted = options.only.split(",") if options.only else None
    attackers = [one for one in mix(target, ids, hot, options.flood) if wanted is None or one[0] in wanted]
    crew, watch = Crew(others), Watch(node, others)
    crew.start("hits", 0, client.hits, (target, attacks.address_of(2), options.hits, hot, expected))
    began = start = time.monotonic()
    busy = node.processor_seconds()
    try:
        time.sleep(QUIET_SECONDS)
        start = time.monotonic()
        crew.start("cold", 0, client.cold, (target, attacks.address_of(2), 2.0, deadline, ids["photos"]))
        crew.start("uploads", 0, client.uploads, (target, attacks.address_of(2), 5.0, deadline))
        for name, work, values in attackers:
            crew.start(name, 19, work, values)
        # After the forks: a thread does not survive one.
        watch.start()
        end = start + options.minutes * 60
        while time.monotonic() < end and node.process.poll() is None:
            time.sleep(min(10, max(0.1, end - time.monotonic())))
            shown = (time.monotonic() - start, watch.resident / MIB, watch.disk / MIB, watch.files)
            print("hostile: %4.0f s, at most %.0f MiB resident, %.0f MiB and %d files of cache" % shown, file=sys.stderr)
    except KeyboardInterrupt:
        print("hostile: interrupted; ending what runs", file=sys.stderr)
    # The end is bounded; a second signal must not leave processes behind.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    busy = node.processor_seconds() - busy
    took = time.monotonic() - began
    results, used, lost = crew.finish(deadline + 20)
    watch.done.set()
    if watch.ident:
        watch.join(130)
    report = summarize(results, start, deadline)
    try:
        report["alive"] = node.process.poll() is None and node.get("/healthz", timeout=20)[0] == 200
    except OSError:
        report["alive"] = False
    with open(node.log, "rb") as log:
        lines = log.read().splitlines()
    report.update(
        seconds=round(took, 1),
        resident_bytes=max(watch.resident, node.resident_peak()),
        resident_children_bytes=watch.children,
        disk_bytes=watch.disk,
        disk_folder_bytes=watch.folders,
        disk_files=watch.files,
        samples={"memory": watch.samples, "disk": watch.walks},
        log={"lines": len(lines), "warnings": sum(b"WARN" in line for line in lines), "errors": sum(b"ERROR" in line for line in lines)},
        processor={
            "node": round(busy / took, 3),
            "client": round(sum(used.get(name, 0) for name in ("hits", "cold", "uploads")) / took, 3),
            "attackers": {name: round(used.get(name, 0) / took, 3) for name, _, _ in attackers},
        },
        attacks={name: dict(results[name]) for name, _, _ in attackers if isinstance(results.get(name), collections.Counter)},
    )
    return report, lost


def show(report, checks):
    for name, value, bound, holds in checks:
        print(f"{'ok  ' if holds else 'FAIL'} {name:42} {value:>20}   {bound}")
    hits, cold, processor = report["hits"], report["cold"], report["processor"]
    print(f"     hits ms {hits['ms']}, before the attack {hits['ms_before_the_attack']}, failed {hits['failed']}, X-Cache {hits['by_cache']}")
    print(f"     cold ms {cold['ms']}, statuses {cold['statuses']}; uploads {report['uploads']['statuses']}")
    print(f"     cache files {report['disk_files']}, its folders {report['disk_folder_bytes'] / MIB:.0f} MiB; log {report['log']}")
    print(f"     cores used: node {processor['node']}, client {processor['client']}, attackers {sum(processor['attackers'].values()):.3f} {processor['attackers']}")
    for name, told in report["attacks"].items():
        print(f"     {name}: {told}")


def main():
    options = arguments()
    cores = os.sched_getaffinity(0)
    others = cores - {options.core} or cores
    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    try:
        with Node(options.binary, options.port, {options.core}, options.folder, options.log) as node:
            os.sched_setaffinity(0, others)
            report, lost = siege(node, options, others)
            checks = judge(report, node.config, lost)
    except KeyboardInterrupt:
        sys.exit("hostile: interrupted before the attack")
    report["checks"] = [{"name": n, "value": v, "bound": b, "holds": h} for n, v, b, h in checks]
    show(report, checks)
    if options.json:
        with open(options.json, "w") as file:
            json.dump(report, file, indent=1)
    sys.exit(0 if all(check[3] for check in checks) else 1)


if __name__ == "__main__":
    main()
