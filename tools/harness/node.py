"""A node in a folder of its own: started, asked, watched and ended. Linux only."""

import ctypes, http.client, json, os, re, shutil, signal, subprocess, tempfile, time, tomllib

TICK = os.sysconf("SC_CLK_TCK")
PR_SET_PDEATHSIG = 1
CPUCLOCK_SCHED = 2
UPLOAD_KEY = "an upload key of the measuring tools"
OPERATOR_KEY = "an operator key of the measuring tools"
UNITS = {"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40, "kB": 10**3, "MB": 10**6, "GB": 10**9}
TIMES = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}


def die_with_parent():
    """The kernel ends this process when its parent ends, however that ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def bytes_of(value):
    """A size as the configuration writes it."""
    if isinstance(value, int):
        return value
    number, unit = re.fullmatch(r"(\d+)\s*([A-Za-z]*)", value).groups()
    return int(number) * UNITS[unit]


def seconds_of(value):
    """A time as the configuration writes it."""
    number, unit = re.fullmatch(r"(\d+)(\D+)", value).groups()
    return int(number) * TIMES[unit]


class Node:
    """A node with one shard, default limits and keys. Its environment is ours: RETICULUM_… variables apply."""

    def __init__(self, binary, port, cores=None, folder=None, keep_log=None):
        self.port = port
        self.root = tempfile.mkdtemp(prefix="reticulum-node-", dir=folder)
        self.data = os.path.join(self.root, "data")
        self.log = keep_log or os.path.join(self.root, "log")
        path = os.path.join(self.root, "reticulum.toml")
        with open(path, "w") as file:
            os.chmod(path, 0o600)
            file.write(
                f'[node]\nlisten = "127.0.0.1:{port}"\ndata = "{self.data}"\nshards = 1\n'
                f'[access]\nupload_keys = ["{UPLOAD_KEY}"]\noperator_key = "{OPERATOR_KEY}"\n'
            )
        self.process = None
        try:
            told = subprocess.run([binary, "check-config", path], capture_output=True, text=True)
            if told.returncode != 0:
                raise SystemExit(f"the node refuses its configuration: {told.stdout}{told.stderr}")
            self.config = tomllib.loads(told.stdout)

            def prepare():
                die_with_parent()
                if cores:
                    os.sched_setaffinity(0, cores)

            with open(self.log, "wb") as log:
                command = [binary, "serve", "--config", path]
                self.process = subprocess.Popen(command, stderr=log, preexec_fn=prepare)
            self.await_ready()
        except BaseException:
            self.end()
            raise

    def await_ready(self, seconds=20):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.process.poll() is not None:
                break
            try:
                if self.get("/readyz")[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.02)
        with open(self.log) as log:
            raise SystemExit("the node does not get ready:\n" + log.read()[-2000:])

    def get(self, path, headers={}, timeout=60):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read(), answer.headers
        finally:
            connection.close()

    def upload(self, body):
        """Uploads and gives the id."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("POST", "/image", body=body, headers={"Authorization": f"Bearer {UPLOAD_KEY}"})
            answer = connection.getresponse()
            told = answer.read()
            if answer.status != 200:
                raise SystemExit(f"an upload was answered {answer.status}: {told[:300]!r}")
            return json.loads(told)["hash"]
        finally:
            connection.close()

    def family(self):
        """The node's process and those below it."""
        found, wait = [], [self.process.pid]
        while wait:
            pid = wait.pop()
            found.append(pid)
            try:
                for task in os.listdir(f"/proc/{pid}/task"):
                    with open(f"/proc/{pid}/task/{task}/children") as file:
                        wait.extend(map(int, file.read().split()))
            except OSError:
                pass  # it ended meanwhile
        return found

    def resident(self):
        """Resident bytes now: of the node, and of the processes below it."""
        sizes = [status_bytes(pid, "VmRSS") for pid in self.family()]
        return sizes[0], sum(sizes[1:])

    def resident_peak(self):
        """Resident bytes of the node alone, at most since its start."""
        return status_bytes(self.process.pid, "VmHWM")

    def processor_seconds(self):
        """Of the node and of the processes below it, ended ones too."""
        total = 0.0
        for pid in self.family():
            try:
                # The kernel's clock of another process, to the nanosecond; ended threads count.
                total += time.clock_gettime((~pid << 3) | CPUCLOCK_SCHED)
                with open(f"/proc/{pid}/stat") as file:
                    fields = file.read().rsplit(")", 1)[1].split()
                # Children that ended and were waited for.
                total += (int(fields[13]) + int(fields[14])) / TICK
            except OSError:
                pass
        return total

    def end(self):
        if self.process:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.root, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


def status_bytes(pid, key):
    try:
        with open(f"/proc/{pid}/status") as file:
            for line in file:
                if line.startswith(key + ":"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def disk_usage(folder):
    """What is below a folder: files, bytes of their blocks, and bytes of the folders' own blocks."""
    files = blocks = folders = 0
    # `find` does this for a million files in a second or two; a walk here takes ten times that.
    command = ["find", folder, "-printf", "%y %b\n"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as find:
        for line in find.stdout:
            kind, count = line.split()
            if kind == "d":
                folders += int(count)
            else:
                files += 1
                blocks += int(count)
    return files, blocks * 512, folders * 512
