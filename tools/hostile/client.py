"""The legitimate client: hits at a steady rate, a cold request now and then, an upload now and then."""

import collections, socket, threading, time

from harness import pictures
from harness.node import UPLOAD_KEY


class Keeper:
    """One connection that is kept, from an address of ours; answers are read whole."""

    def __init__(self, target, address, seconds):
        self.socket = socket.socket()
        try:
            self.socket.bind((address, 0))
            self.socket.settimeout(seconds)
            self.socket.connect(target)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except BaseException:
            self.socket.close()
            raise

    def ask(self, request):
        """Status, headers (lower case) and body."""
        self.socket.sendall(request)
        had = b""
        while b"\r\n\r\n" not in had:
            had += self.more()
        head, _, body = had.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        length, parts, have = int(headers.get("content-length", 0)), [body], len(body)
        while have < length:
            parts.append(self.more())
            have += len(parts[-1])
        return int(lines[0].split()[1]), headers, b"".join(parts)

    def more(self):
        got = self.socket.recv(1 << 18)
        if not got:
            raise ConnectionError("closed before the answer's end")
        return got

    def close(self):
        self.socket.close()


def hits(stop, target, address, rate, path, expected, seconds=5.0, renew_every=500):
    """An open loop on one connection, made new every `renew_every` requests. Gives (when, seconds) of each, failures by
    reason, and answers by X-Cache.

    A request counts from when it was due if the one before it was late (a stall delays all that were due meanwhile), else
    from when it is sent: a client that slept too long is not the node's fault.
    """
    request = f"GET {path} HTTP/1.1\r\nHost: node\r\n\r\n".encode()
    times, failed, caches = [], collections.Counter(), collections.Counter()
    link, due, number = None, time.monotonic(), 0
    while not stop.is_set():
        now = time.monotonic()
        if now < due:
            time.sleep(due - now)
            began = time.monotonic()
        else:
            began = due
        try:
            if link is None or number % renew_every == 0:
                if link:
                    link.close()
                link = Keeper(target, address, seconds)
            status, headers, body = link.ask(request)
            if status != 200:
                failed[str(status)] += 1
            elif body != expected:
                failed["other bytes"] += 1
            caches[headers.get("x-cache", "none")] += 1
        except OSError as error:
            failed[type(error).__name__] += 1
            if link:
                link.close()
            link = None
        times.append((began, time.monotonic() - began))
        number += 1
        due += 1 / rate
    if link:
        link.close()
    return {"times": times, "failed": failed, "caches": caches}


def now_and_then(stop, every, seconds, ask):
    """Calls `ask(number)` every so often, each in a thread, for they may take long. Gives (when, status, seconds) of each."""
    done, threads = [], []

    def one(number):
        began = time.monotonic()
        try:
            status = ask(number)
        except OSError as error:
            status = type(error).__name__
        done.append((began, status, time.monotonic() - began))

    due, number = time.monotonic(), 0
    while not stop.wait(max(0.0, due - time.monotonic())):
        threads = [thread for thread in threads if thread.is_alive()]
        threads.append(threading.Thread(target=one, args=(number,)))
        threads[-1].start()
        number += 1
        due += every
    for thread in threads:
        thread.join(seconds + 5)
    return done


def cold(stop, target, address, every, deadline, ids):
    """Sizes of photos that nobody asked before."""

    def ask(number):
        link = Keeper(target, address, deadline + 5)
        try:
            width, id = 210 + number // len(ids), ids[number % len(ids)]
            return str(link.ask(f"GET /image/{id}/{width}w/x.jpg HTTP/1.1\r\nHost: node\r\n\r\n".encode())[0])
        finally:
            link.close()

    return now_and_then(stop, every, deadline, ask)


def uploads(stop, target, address, every, deadline):
    """New small pictures, with the key."""

    def ask(number):
        body = pictures.noise(64, 64, 1000 + number)
        head = f"POST /image HTTP/1.1\r\nHost: node\r\nAuthorization: Bearer {UPLOAD_KEY}\r\nContent-Length: {len(body)}\r\n\r\n"
        link = Keeper(target, address, deadline + 5)
        try:
            return str(link.ask(head.encode() + body)[0])
        finally:
            link.close()

    return now_and_then(stop, every, deadline, ask)
