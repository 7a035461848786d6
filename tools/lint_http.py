#!/usr/bin/env python3
"""Checks every kind of answer with REDbot, which knows HTTP's rules: `python3 tools/lint_http.py BINARY`.

Needs `pip install redbot` (2.7.1 was tried), and no network but loopback. Starts a node in a temporary directory,
uploads two pictures, and has REDbot ask for each URL, with the conditions and ranges that it tries by itself. Ends with
status 1 if it finds more than notes: a warning or a fault that is not in EXPECTED.
"""

import http.client
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from configparser import ConfigParser

import thor
from httplint.note import levels
from redbot.resource import HttpResource

# Warnings that stand, and why.
EXPECTED = {
    # It lets a shared cache keep what a client with a key has asked for, which is the same for everybody.
    "STORE_PUBLIC_UNNECESSARY",
    # Bad URLs are asked for on purpose.
    "STATUS_BAD_REQUEST",
}

WORSE = (levels.WARN, levels.BAD)

KEY = "redbot-checks-with-this-key"


def png(width, height):
    """A picture whose rows differ, so that a large one stays large."""
    rows = b"".join(b"\0" + os.urandom(width * 3) for _ in range(height))
    chunk = lambda name, data: struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def ask(port, method, path, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(method, path, body=body, headers={"Authorization": f"Bearer {KEY}"})
    answer = connection.getresponse()
    return answer.status, answer.read()


def start(binary, folder):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = dict(os.environ, RETICULUM_ACCESS_OPERATOR_KEY=KEY)
    command = [binary, "serve", "--data", folder + "/data", "--listen", f"127.0.0.1:{port}"]
    node = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(600):
        try:
            if ask(port, "GET", "/readyz")[0] == 200:
                return node, port
        except OSError:
            time.sleep(0.1)
    node.kill()
    sys.exit("the node does not start")


def urls(port):
    small, large = (json.loads(ask(port, "POST", "/image", png(*size))[1])["hash"] for size in ((80, 60), (1000, 900)))
    images = ["full/x.png", "30w/x.jpg", "30w/x.webp", "30w/x.auto", "full/x.auto", "30w/x.jpg?download", "030w/x.jpg"]
    refused = ["30w/x.bmp", "30x/x.jpg", "full,frame9/x.jpg"]
    yield from (f"/image/{small}/{rest}" for rest in images + refused)
    yield from (f"/image/{large}/{rest}" for rest in ("full/x.png", "900w/x.png"))
    yield from (f"/image/{'0' * 40}/30w/x.jpg", "/image/abc/full/x.jpg", f"/info/{small}", f"/info/{'0' * 40}")
    yield from ("/", "/nothing", "/healthz", "/readyz", "/limits", "/status.json", "/metrics")


def check(url):
    """The faults of one URL and of the requests that REDbot makes beside it, as JSON on the standard output."""
    settings = ConfigParser()
    settings.read_dict({"redbot": {"enable_local_access": "True"}})
    resource = HttpResource(settings["redbot"])
    resource.set_request(url, headers=[("Authorization", f"Bearer {KEY}")])
    thor.events.on(resource, "check_done")(lambda *_: thor.stop())
    resource.check()
    thor.run()
    notes = list(resource.response.notes)
    for task in resource.subreqs.values():
        notes.extend(task.response.notes)
    faults = {(note.level.value, type(note).__name__, str(note.summary)) for note in notes if note.level in WORSE}
    print(json.dumps([len(notes), sorted(faults)]))


def check_apart(url):
    """The same in a process of its own, because REDbot's event loop runs once."""
    run = subprocess.run([sys.executable, __file__, "--url", url], capture_output=True, text=True, timeout=120)
    if run.returncode != 0:
        return 0, [["failed", "REDbot", run.stderr[-500:]]]
    count, faults = json.loads(run.stdout)
    # An answer without any note was not looked at.
    return count, [fault for fault in faults if fault[1] not in EXPECTED] or ([] if count else [["failed", "REDbot", "no notes"]])


def main():
    if sys.argv[1] == "--url":
        return check(sys.argv[2])
    worse = 0
    with tempfile.TemporaryDirectory() as folder:
        node, port = start(sys.argv[1], folder)
        try:
            paths = list(urls(port))
            with ThreadPoolExecutor(8) as pool:
                found = pool.map(lambda path: check_apart(f"http://127.0.0.1:{port}{path}"), paths)
                for path, (count, faults) in zip(paths, found):
                    worse += len(faults)
                    print("WORSE" if faults else "ok   ", path, f"({count} notes)", *("\n      " + ": ".join(fault) for fault in faults))
        finally:
            node.terminate()
            node.wait()
    sys.exit(1 if worse else 0)


if __name__ == "__main__":
    main()
