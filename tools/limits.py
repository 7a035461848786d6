#!/usr/bin/env python3
"""What a node costs at rest and under load, measured from outside. Needs Linux, python3 and a release build.

    cargo build --release && tools/limits.py [start|idle|connections|work|overload|foreign]...

Prints one line per figure, with the bound that is promised. Server on core 0, client on core 1 where there are two.
"""

import http.client, json, os, random, shutil, socket, statistics, struct, subprocess, sys, tempfile, threading, time, zlib

BINARY = os.path.join(os.environ.get("CARGO_TARGET_DIR", "target"), "release", "reticulum")
PORT = 18100
TICK = os.sysconf("SC_CLK_TCK")


class Node:
    """A node in a directory of its own."""

    def __init__(self, shards=1, config="", data=None):
        self.root = tempfile.mkdtemp(prefix="reticulum-limits-")
        self.data = data or os.path.join(self.root, "data")
        path = os.path.join(self.root, "reticulum.toml")
        with open(path, "w") as file:
            file.write(f'[node]\nlisten = "127.0.0.1:{PORT}"\ndata = "{self.data}"\nshards = {shards}\n[access]\nopen_uploads = true\n{config}')
        command = ["taskset", "-c", "0", BINARY, "serve", "--config", path]
        self.started = time.monotonic()
        self.process = subprocess.Popen(command, stderr=open(os.path.join(self.root, "log"), "w"))
        while True:
            try:
                if get("/readyz")[0] == 200:
                    break
            except OSError:
                time.sleep(0.002)
        self.ready_seconds = time.monotonic() - self.started

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.root)

    def resident(self):
        """MiB now, and at most since the start."""
        lines = dict(line.split(":", 1) for line in open(f"/proc/{self.process.pid}/status"))
        return tuple(int(lines[key].split()[0]) / 1024 for key in ("VmRSS", "VmHWM"))

    def ticks(self):
        fields = open(f"/proc/{self.process.pid}/stat").read().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])


def get(path, headers={}):
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    return answer.status, answer.read(), answer.headers


def upload(body):
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)
    connection.request("POST", "/image", body=body)
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    return json.load(answer)["hash"]


def noise(width, height, seed=1):
    """A PNG whose every pixel is random: a small tile, repeated."""
    dice = random.Random(seed)
    row = dice.randbytes(3 * width)
    rows = b"".join(b"\0" + row[3 * (y * 37 % width) :] + row[: 3 * (y * 37 % width)] for y in range(height))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")


def photo(width, height):
    """A JPEG of that size: the node enlarges a smaller picture."""
    id = upload(noise(width // 4, height // 4))
    status, body, _ = get(f"/image/{id}/{width}w,up/x.jpg")
    assert status == 200, body
    return body


def say(what, value, bound):
    print(f"{what:74} {value:>14}   {bound}", flush=True)


def start():
    """Ready after start with 100,000 images in the store."""
    images = 100_000
    with Node(shards=2) as node:
        upload(noise(8, 8))
        store = os.path.join(node.data, "store")
        small = noise(2, 2)
        for number in range(images):
            # Files of the right names and places; start-up does not look at their bytes.
            name = f"{random.Random(number).getrandbits(160):040x}"
            folder = os.path.join(store, name[:2], name[2:4])
            os.makedirs(folder, exist_ok=True)
            with open(os.path.join(folder, name + ".png"), "wb") as file:
                file.write(small)
        times = []
        for _ in range(5):
            node.process.terminate()
            node.process.wait()
            again = Node(shards=2, data=node.data)
            times.append(again.ready_seconds * 1000)
            again.process.terminate()
            again.process.wait()
            shutil.rmtree(again.root)
        node.process = subprocess.Popen(["true"])
    say(f"ready after start with {images} images, median of 5", f"{statistics.median(times):.0f} ms", "<= 150 ms")


def idle():
    """Processor time and memory of two shards that nobody asks anything."""
    with Node(shards=2) as node:
        time.sleep(1)
        before = node.ticks()
        time.sleep(10)
        used = (node.ticks() - before) / TICK / 10 * 100
        say("two shards at rest for 10 s", f"{used:.2f} %", "0 %")
        say("their resident memory", f"{node.resident()[0]:.1f} MiB", "<= 30 MiB")


def connections():
    """What 10,000 connections cost that have asked once and are kept."""
    count = 10_000
    with Node(shards=2, config="[limits]\nconnections = 11000\nidle_timeout = \"10m\"\n") as node:
        id = upload(noise(64, 64))
        request = f"GET /image/{id}/32w/x.jpg HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        before = node.resident()[0]
        kept = []
        for _ in range(count):
            connection = socket.create_connection(("127.0.0.1", PORT))
            connection.sendall(request)
            assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200")
            kept.append(connection)
        cost = node.resident()[0] - before
        say(f"{count} idle connections", f"{cost:.0f} MiB", "<= 200 MiB")
        ticks = node.ticks()
        time.sleep(5)
        say("and their processor time", f"{(node.ticks() - ticks) / TICK / 5 * 100:.2f} %", "")


def work():
    """Memory after the work is done: a filled memory tier, 12-megapixel pictures, 256 connections."""
    with Node(shards=1, config='[cache]\nmemory = "16MiB"\n') as node:
        id = upload(photo(4000, 3000))
        kept = [http.client.HTTPConnection("127.0.0.1", PORT, timeout=60) for _ in range(256)]
        for number, connection in enumerate(kept):
            connection.request("GET", f"/image/{id}/{300 + number % 40}w/x.jpg")
            assert connection.getresponse().read()
        for width in range(400, 1000, 4):
            assert get(f"/image/{id}/{width}w/x.jpg")[0] == 200
        peak = node.resident()[1]
        for connection in kept:
            connection.close()
        time.sleep(3)
        say("resident after 190 variants of 12 megapixels and 256 connections", f"{node.resident()[0]:.0f} MiB", "< 90 MiB")
        say("and at most meanwhile", f"{peak:.0f} MiB", "")


def overload():
    """64 cold 24-megapixel requests at once on one shard, and hits beside them."""
    cache, decode, queue = 64, 1024, 64
    config = f'[cache]\nmemory = "{cache}MiB"\n[limits]\ndecode_memory = "{decode}MiB"\nresize_queue = {queue}\n'
    with Node(shards=1, config=config) as node:
        id = upload(photo(6000, 4000))
        hot = f"/image/{id}/100w/x.jpg"
        for _ in range(3):
            assert get(hot)[0] == 200
        statuses, done = [], threading.Event()

        def cold(width):
            status, _, headers = get(f"/image/{id}/{width}w/x.jpg")
            statuses.append((status, headers.get("Retry-After")))

        latencies, failed = [], []

        def hits():
            # An open loop: a stall delays the next ones, and their time counts from when they were due.
            connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)
            due = time.monotonic()
            while not done.is_set():
                time.sleep(max(0, due - time.monotonic()))
                connection.request("GET", hot)
                answer = connection.getresponse()
                answer.read()
                if answer.status != 200:
                    failed.append(answer.status)
                latencies.append(time.monotonic() - due)
                due += 1 / 400

        probe = threading.Thread(target=hits)
        probe.start()
        threads = [threading.Thread(target=cold, args=(200 + n,)) for n in range(64)]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took = time.monotonic() - began
        done.set()
        probe.join()
        p99 = statistics.quantiles(latencies, n=100)[98] * 1000
        peak = node.resident()[1]
        codes = {code: sum(status == code for status, _ in statuses) for code in {s for s, _ in statuses}}
        assert set(codes) <= {200, 503} and all(retry for status, retry in statuses if status == 503), statuses
        say(f"64 cold 24-megapixel requests in {took:.1f} s", str(codes).replace(" ", ""), "200 or 503 with Retry-After")
        say(f"{len(latencies)} hits meanwhile at 400/s, failed", str(len(failed)), "0")
        say("their 99th percentile", f"{p99:.2f} ms", "<= 10 ms")
        say("resident at most", f"{peak:.0f} MiB", f"<= {cache + decode + 150} MiB")


def foreign():
    """Hits for ids of another shard: two shards on one core against one, with and without hot copies."""
    rates = {}
    rounds = 5
    for _ in range(rounds):
        for name, shards, config in [
            ("one shard", 1, ""),
            ("two shards, hot copies", 2, ""),
            ("one shard, disk", 1, "[cache]\nmemory = 0\n"),
            ("two shards, disk", 2, "[cache]\nmemory = 0\n"),
        ]:
            with Node(shards=shards, config=config) as node:
                id = upload(noise(200, 200))
                path = f"/image/{id}/100w/x.jpg"
                for _ in range(64):
                    assert get(path)[0] == 200
                before = node.ticks()
                url = f"http://127.0.0.1:{PORT}{path}"
                text = subprocess.run(["taskset", "-c", "1", "wrk", "-t1", "-c64", "-d1s", url], capture_output=True, text=True)
                requests = int(text.stdout.split("requests in")[0].split()[-1])
                rates.setdefault(name, []).append(requests / (node.ticks() - before))
    def ratio(a, b):
        return statistics.median(x / y for x, y in zip(rates[a], rates[b]))
    say("hits on two shards by processor time, to those on one: hot copies", f"{ratio('two shards, hot copies', 'one shard'):.2f}", ">= 0.9")
    say("without (half of them ask the other shard, all read the disk)", f"{ratio('two shards, disk', 'one shard, disk'):.2f}", ">= 0.5")


if __name__ == "__main__":
    import resource
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    for name in sys.argv[1:] or ["start", "idle", "connections", "work", "overload", "foreign"]:
        globals()[name]()
