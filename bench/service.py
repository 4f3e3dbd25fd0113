"""The service under load on loopback: sustained rate, p50 and p99, memory over a thousand requests, a thousand malformed ones.

The server is a process of its own with a trained checkpoint (STICKGEN_BENCH_MODEL, default the profile's); requests ask for short motions, so that
the queue, the wire and the answers weigh as much as possible against the model.
"""

import http.client
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from bench.measure import Measure

CLIENTS = 4
SECONDS, STEPS = 1.0, 4
PROMPTS = ("a person walks forward", "a person jumps", "a person waves with the right hand", "a person sits down", "a person turns around")


def run(quick: bool) -> list[Measure]:
    """1,000 good and 1,000 malformed requests (a tenth of them with --quick)."""
    count = 100 if quick else 1000
    port = _free_port()
    command = [sys.executable, "-m", "stickgen_pipeline.cli", "serve", "--port", str(port)]
    if os.environ.get("STICKGEN_BENCH_MODEL"):
        command += ["--model", os.environ["STICKGEN_BENCH_MODEL"]]
    with subprocess.Popen(command, cwd=Path(__file__).parents[1], env={**os.environ, "OMP_NUM_THREADS": "1"}) as server:
        try:
            _until_ready(port, server)
            return _load(port, psutil.Process(server.pid), count)
        finally:
            server.terminate()
            server.wait(20)


def _load(port: int, server: psutil.Process, count: int) -> list[Measure]:
    _together(lambda n: _good(port, n), 20)  # the caches that a running service has
    memory = [server.memory_info().rss]
    latencies: list[float] = []
    statuses: Counter[int] = Counter()
    start = time.perf_counter()
    for part in range(10):
        for status, seconds in _together(lambda n, part=part: _good(port, part * count + n), count // 10):
            statuses[status] += 1
            latencies.append(seconds)
        memory.append(server.memory_info().rss)
    rate = count / (time.perf_counter() - start)
    bad_start = time.perf_counter()
    malformed = Counter(status for status, _ in _together(lambda n: _bad(port, n), count))
    bad_rate = count / (time.perf_counter() - bad_start)
    after = server.memory_info().rss
    steady = memory[1:]
    mb = 2**20
    return [
        Measure("requests", count, f"of {SECONDS:g} s in {STEPS} steps, {CLIENTS} clients, answers {dict(statuses)}"),
        Measure("sustained rate", rate, "requests/s"),
        Measure("p50", statistics.median(latencies), "s"),
        Measure("p99", statistics.quantiles(latencies, n=100)[98], "s"),
        Measure("memory at the start", memory[0] / mb, "MiB"),
        Measure("memory growth over the requests", (steady[-1] - steady[0]) / mb, "MiB", against=f"every tenth: {[round(m / mb) for m in memory]}", at_most=16),
        Measure("malformed: server errors", sum(hits for status, hits in malformed.items() if status >= 500), f"of {dict(malformed)}", at_most=0),
        Measure("malformed: rate", bad_rate, "requests/s"),
        Measure("memory growth over the malformed", (after - steady[-1]) / mb, "MiB", at_most=16),
        Measure("open connections left", len(server.net_connections()) - 1, "", at_most=CLIENTS),
    ]  # fmt: skip


def _together(work: Callable[[int], tuple[int, float]], count: int) -> list[tuple[int, float]]:
    """`count` calls from CLIENTS threads, each waiting for its answer before it asks again."""
    found: list[tuple[int, float]] = []
    numbers = iter(range(count))
    lock = threading.Lock()

    def client() -> None:
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            result = work(number)
            with lock:
                found.append(result)

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def _good(port: int, number: int) -> tuple[int, float]:
    body = {"prompt": PROMPTS[number % len(PROMPTS)], "seconds": SECONDS, "diffusion_steps": STEPS, "seed": number}
    start = time.perf_counter()
    status = _post(port, json.dumps(body).encode())
    return status, time.perf_counter() - start


def _bad(port: int, number: int) -> tuple[int, float]:
    """A request that breaks one thing at random: bytes, shape, a bound, the path, the headers, the line itself."""
    draw = random.Random(number)
    start = time.perf_counter()
    if draw.random() < 0.1:
        return _raw(port, draw), time.perf_counter() - start
    value: dict[str, Any] = {"prompt": "a person walks", "seconds": 1, "diffusion_steps": 1}
    odd: list[Any] = [None, True, -1, 0, 10**30, 1e308, "x" * 600, "\ud800", [], {}, [[1]], {"a": 1}, [[[[]]]], "a" * 100_000, [None] * 50]
    key = draw.choice(["prompt", "seconds", "seed", "guidance", "diffusion_steps", "actions", "action", "camera", "actors", "image", "viewpoint",
                       "format", "style", "negative", "on_rejection", "unknown\n"])  # fmt: skip
    value[key] = draw.choice(odd)
    if (
        key in ("seed", "actions", "camera", "image", "viewpoint", "style", "on_rejection")
        and value[key] in (None, 0, [], "")
        or value[key] is None
    ):
        value["nonsense"] = 1
    if key == "negative":
        value["guidance"] = 1.0
    body = json.dumps(value).encode()
    if draw.random() < 0.3:
        body = bytes(draw.choice((byte, 0xFF, 0x22)) if draw.random() < 0.05 else byte for byte in body) + b"}"
    path = draw.choice(["/v1/generate"] * 6 + ["/v1/jobs", "/v1/stream", "/v1/jobs/..%2f..%2fetc/passwd", "/v1/none"])
    kind = draw.choice(["application/json"] * 8 + ["text/plain", "application/x-www-form-urlencoded"])
    return _post(port, body, path, kind), time.perf_counter() - start


def _raw(port: int, draw: random.Random) -> int:
    """Bytes that are no HTTP, or headers that lie."""
    lines = draw.choice([b"\x00\xff\xfe\r\n\r\n", b"GET\r\n\r\n", b"POST /v1/generate HTTP/1.1\r\nhost: localhost\r\ncontent-length: abc\r\n\r\n",
                         b"POST /v1/generate HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
                         b"GET / HTTP/1.1\r\nhost: localhost\r\n" + b"x" * 100_000 + b": y\r\n\r\n"])  # fmt: skip
    with socket.create_connection(("127.0.0.1", port), timeout=30) as line:
        try:
            line.sendall(lines)
            answer = line.recv(4096)
        except (ConnectionError, TimeoutError):
            return 0
    words = answer.split(b" ", 2)
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else 0


def _post(port: int, body: bytes, path: str = "/v1/generate", kind: str = "application/json") -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request("POST", path, body, {"content-type": kind})
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _until_ready(port: int, server: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + 300
    while time.monotonic() < end and server.poll() is None:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/health")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.5)
    raise RuntimeError("the service did not come up")
