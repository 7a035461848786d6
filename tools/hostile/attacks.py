"""The attackers. Each function runs in a process of its own until `stop` is set, and returns what it was answered.

All of them are bounded: a fixed number of connections each, every wait has an end, every retry a pause.
"""

import asyncio, collections, random, select, socket, struct, time

LINGER_NOT = struct.pack("ii", 1, 0)


def address_of(number):
    """A loopback address of one's own; clients are told apart by it."""
    return f"127.0.{number >> 8}.{number & 255}"


def run(coroutines, stop):
    """Runs the coroutines together until `stop`."""

    async def all():
        tasks = [asyncio.ensure_future(one) for one in coroutines]
        while not stop.is_set():
            await asyncio.sleep(0.2)
        pending = set(tasks)
        while pending:
            # Again and again: a wait that ends at the very moment swallows a cancellation.
            for task in pending:
                task.cancel()
            _, pending = await asyncio.wait(pending, timeout=0.5)
        results = await asyncio.gather(*tasks, return_exceptions=True)
        faults = [r for r in results if isinstance(r, Exception) and not isinstance(r, asyncio.CancelledError)]
        if faults:
            raise faults[0]

    asyncio.run(all())


class Link:
    """A connection from an address of ours, with little buffered where asked."""

    def __init__(self, target, address, receive_bytes=None):
        self.target, self.address, self.receive_bytes = target, address, receive_bytes

    async def __aenter__(self):
        self.socket = socket.socket()
        self.socket.setblocking(False)
        try:
            if self.receive_bytes:
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.receive_bytes)
            self.socket.bind((self.address, 0))
            loop = asyncio.get_running_loop()
            await asyncio.wait_for(loop.sock_connect(self.socket, self.target), 30)
        except BaseException:
            self.socket.close()
            raise
        return self

    async def __aexit__(self, *_):
        # A reset in place of a close: no port waits for a minute.
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
        except OSError:
            pass
        self.socket.close()

    async def send(self, data):
        await asyncio.wait_for(asyncio.get_running_loop().sock_sendall(self.socket, data), 30)

    async def receive(self, length, seconds):
        """Bytes, none at the end of the connection, None when the time is up."""
        try:
            return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(self.socket, length), seconds)
        except asyncio.TimeoutError:
            return None

    async def status(self, seconds):
        """The next answer's status, or what came in its place."""
        head, end = b"", time.monotonic() + seconds
        while b"\r\n" not in head:
            got = await self.receive(256, max(0.01, end - time.monotonic()))
            if not got:
                return "no answer in time" if got is None else "closed"
            head += got
        return head.split()[1].decode("latin-1") if head.startswith(b"HTTP/1.1 ") else "not HTTP"


def again(kind, told, pause):
    """Repeats an attack; whatever the node does to a connection is counted, and the next one follows."""

    async def repeated(*arguments):
        while True:
            try:
                await kind(*arguments)
            except OSError as error:
                told[type(error).__name__] += 1
            except asyncio.TimeoutError:
                told["TimeoutError"] += 1
            await asyncio.sleep(pause)

    return repeated


def slow_forms(stop, target, address, count, gap=9.0):
    """Uploads without a key that send a byte now and then."""
    told = collections.Counter()

    async def form(number):
        async with Link(target, address) as link:
            if number % 4 == 3:
                head = "PUT /image/" + "0" * 40 + " HTTP/1.1\r\nHost: node\r\nContent-Length: 1000000\r\n\r\n"
                first = b"\xff\xd8\xff"
            else:
                head = "POST / HTTP/1.1\r\nHost: node\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: 1000000\r\n\r\n"
                first = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n\xff\xd8\xff'
            await link.send(head.encode() + first)
            # An answer may come at once or at the end of somebody's patience; until then the drip goes on.
            while (got := await link.receive(4096, gap)) is None:
                told["bytes dripped"] += 1
                await link.send(b"\0")
            told[got.split()[1].decode() if got.startswith(b"HTTP/1.1 ") else "closed"] += 1

    run([again(form, told, 1.0)(number) for number in range(count)], stop)
    return told


def slow_readers(stop, target, address, count, paths):
    """Ask for large variants and read 100 bytes a second."""
    told, serial = collections.Counter(), iter(paths)

    async def reader():
        async with Link(target, address, receive_bytes=4096) as link:
            await link.send(f"GET {next(serial)} HTTP/1.1\r\nHost: node\r\n\r\n".encode())
            status = await link.status(40)
            told[status] += 1
            if status != "200":
                await asyncio.sleep(4)
                return
            while await link.receive(100, 5) != b"":
                told["reads"] += 1
                await asyncio.sleep(1)
            told["ended by the node"] += 1

    run([again(reader, told, 1.0)() for _ in range(count)], stop)
    return told


def huge_avifs(stop, target, address, count, paths):
    """Ask for encodes that take minutes, and leave after half a minute."""
    told, serial = collections.Counter(), iter(paths)

    async def ask():
        async with Link(target, address) as link:
            await link.send(f"GET {next(serial)} HTTP/1.1\r\nHost: node\r\n\r\n".encode())
            told[await link.status(30)] += 1

    run([again(ask, told, 0.25)() for _ in range(count)], stop)
    return told


def garbage(stop, target, address, count, hot):
    """Pipelined heads, halves of heads, two lengths, and bytes that are no HTTP; in pieces."""
    told, dice = collections.Counter(), random.Random(7)
    get = f"GET {hot} HTTP/1.1\r\nHost: node\r\n\r\n".encode()
    kinds = [
        lambda: [get, get[: len(get) // 2], get, get],
        lambda: [get + b"POST /image HTTP/1.1\r\nHost: node\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + get],
        lambda: [b"GET / HTTP/1.1\r\nHost: node\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", get],
        lambda: [dice.randbytes(dice.randrange(1, 2000)), get],
        lambda: [get * 50],
        lambda: [get[:-2] + b"X: " + b"y" * 30000, b"\r\n\r\n", get],
        lambda: [b"POST /image HTTP/1.1\r\nHost: node\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n", b"x", get],
        lambda: [b"\r\n" * 500, get],
    ]

    async def burst():
        async with Link(target, address) as link:
            for piece in dice.choice(kinds)():
                await link.send(piece)
                await asyncio.sleep(dice.random() * 0.01)
            told[await link.status(2)] += 1
            for _ in range(20):
                if not await link.receive(1 << 16, 0.2):
                    break

    run([again(burst, told, 0.05)() for _ in range(count)], stop)
    return told


def crowd(stop, target, address, count):
    """Say that they are nodes and prove nothing; stay as long as they may."""
    told = collections.Counter()

    async def stranger(number):
        async with Link(target, address) as link:
            whole = number % 4 != 0
            text = "POST /cluster/v1/gossip HTTP/1.1\r\nHost: node\r\nContent-Length: 32\r\n"
            await link.send((text + "\r\n").encode() + bytes(32) if whole else text.encode())
            told[await link.status(90)] += 1
            while await link.receive(4096, 90):
                pass

    run([again(stranger, told, 0.5)(number) for number in range(count)], stop)
    return told


def idlers(stop, target, addresses, count, hot):
    """Connections that say nothing, or nothing more."""
    told = collections.Counter()

    async def idler(number):
        async with Link(target, addresses[number % len(addresses)]) as link:
            if number % 2:
                await link.send(f"GET {hot} HTTP/1.1\r\nHost: node\r\n\r\n".encode())
            while await link.receive(1 << 16, 600):
                pass
            told["ended by the node"] += 1

    run([again(idler, told, 0.5)(number) for number in range(count)], stop)
    return told


def flood(stop, target, address, count, rate, paths):
    """Ask for variants that nobody asked before, up to `rate` a second, one at a time on each of `count` connections.

    Written on epoll, for asyncio needs three times the processor time.
    """
    told, serial = collections.Counter(), iter(paths)
    epoll, links, free = select.epoll(), {}, []

    def connect():
        link = socket.socket()
        link.bind((address, 0))
        link.settimeout(5)
        link.connect(target)
        link.settimeout(0)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        epoll.register(link, select.EPOLLIN)
        links[link.fileno()] = [link, b""]
        free.append(link.fileno())

    def drop(number):
        link, _ = links.pop(number)
        epoll.unregister(number)
        link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
        link.close()
        if number in free:
            free.remove(number)

    def take(number):
        """Bytes came: is the answer whole?"""
        link, had = links[number]
        got = link.recv(1 << 18)
        if not got:
            told["closed"] += 1
            return drop(number)
        had += got
        head, end, body = had.partition(b"\r\n\r\n")
        if end:
            length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            if len(body) >= int(length or 0):
                told[head[9:12].decode("latin-1")] += 1
                free.append(number)
                had = b""
        links[number][1] = had

    allowed, last = 0.0, time.monotonic()
    try:
        while not stop.is_set():
            now = time.monotonic()
            allowed, last = min(allowed + (now - last) * rate, count), now
            try:
                # A few new ones a turn: where the node takes none, this must not become a loop of its own.
                for _ in range(min(8, count - len(links))):
                    connect()
            except OSError as error:
                told[type(error).__name__] += 1
                time.sleep(0.1)
            while free and allowed >= 1:
                number = free.pop()
                allowed -= 1
                try:
                    links[number][0].send(f"GET {next(serial)} HTTP/1.1\r\nHost: node\r\n\r\n".encode())
                except OSError as error:
                    told[type(error).__name__] += 1
                    drop(number)
            for number, _ in epoll.poll(0.005 if free else 0.1):
                try:
                    if number in links:
                        take(number)
                except OSError as error:
                    told[type(error).__name__] += 1
                    drop(number)
    finally:
        for number in list(links):
            drop(number)
    return told
