"""How fast the server answers: python -m serving, and clients beside it on the same machine.

    one_client       one after the other, each waits for its answer
    many_clients     as many as `--clients` at once (wrk)
    unbatched        the same with one question per call of the model
    open_loop        at a rate, whether or not answers come (started on time, timed from then)
    finished_trip    one client tells trips of customers with 10 and with 1,000 earlier ones
    swap             the checkpoint is read again and again while as many clients ask (wrk)
    overload         three times as many clients as may wait: how fast the others are refused

Milliseconds. Server and clients are kept on different cores where there are two. States are warm:
every customer is asked about once before. The clients of many connections are wrk (Debian has it),
the others lean Python on sockets, so their figures hold some .1 ms of their own.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import itertools
import json
import os
import re
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import CommandError, answer, parser
from benchmarks.timing import facts
from serving.limits import WAITING
from trainer.cache.reader import TensorCache
from trainer.commands.errors import InputError
from trainer.commands.options import positive, whole
from trainer.features.calendar import EPOCH

EARLIER = (10, 1000)
TRIPS = 200
"""Told to each customer while it is measured."""
LUA = """
local bodies, place = {}, 0
for line in io.lines("%s") do bodies[#bodies + 1] = line end
init = function() place = math.random(#bodies) end
request = function()
  place = place %% #bodies + 1
  return wrk.format("POST", "/v1/next-basket", {["Content-Type"] = "application/json"},
                    bodies[place])
end
done = function(summary, latency)
  local errors = summary.errors
  print(string.format(
    'RESULT {"requests": %%d, "seconds": %%f, "p50_ms": %%f, "p99_ms": %%f, "refused": %%d, ' ..
    '"failed": %%d}', summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3, errors.status, errors.connect + errors.read + errors.timeout))
end
"""


@dataclass(frozen=True)
class Server:
    """A process that listens, and what is asked of it."""

    process: subprocess.Popen
    port: int
    bodies: list[bytes]

    def memory_mb(self) -> float:
        """Resident."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1e3

    def cpu_seconds(self) -> float:
        """Of all its threads so far: what other programs on the machine do not change."""
        times = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        return sum(map(int, times)) / os.sysconf("SC_CLK_TCK")


class Client:
    """One connection."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb")

    def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Status and body of the answer."""
        self._socket.sendall(_request(path, body))
        status = int(self._file.readline().split()[1])
        length = 0
        while line := self._file.readline().strip():
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        return status, self._file.read(length)

    def timed(self, path: str, body: bytes) -> float:
        """Milliseconds. Raises CommandError where the answer is no success."""
        start = time.perf_counter()
        status, said = self.post(path, body)
        if status != 200:
            raise CommandError(f"{path}: {status} {said.decode()[:200]}")
        return 1e3 * (time.perf_counter() - start)


def _request(path: str, body: bytes) -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    ).encode() + body


@contextmanager
def served(
    options: argparse.Namespace, bodies: list[bytes], states: Path, *more: str
) -> Iterator[Server]:
    """A server whose customers' states are warm."""
    command = [
        sys.executable, "-m", "serving", str(options.checkpoint), "--cache", str(options.cache),
        "--states", str(states), "--port", "0", *more,
    ]  # fmt: skip
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        preexec_fn=lambda: _on_core(0),
    )  # fmt: skip
    try:
        line = process.stdout.readline()
        found = re.search(r"http://[^:]+:(\d+)", line)
        if found is None:
            raise CommandError(f"python -m serving failed: {line.strip()}")
        server = Server(process, int(found[1]), bodies)
        _until_ready(server)
        client = Client(server.port)
        for body in bodies:
            client.timed("/v1/next-basket", body)
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
        process.stdout.close()


def _until_ready(server: Server) -> None:
    while server.process.poll() is None:
        try:
            Client(server.port).post("/v1/next-basket", b"{}")
            return
        except (OSError, IndexError):
            time.sleep(0.1)
    raise CommandError("python -m serving stopped")


def _on_core(number: int) -> None:
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) > 1:
        os.sched_setaffinity(0, {cores[min(number, len(cores) - 1)]})


def one_client(server: Server, seconds: float) -> dict[str, Any]:
    """Closed loop."""
    client, taken, stop = Client(server.port), [], time.perf_counter() + seconds
    while time.perf_counter() < stop:
        taken.append(
            client.timed("/v1/next-basket", server.bodies[len(taken) % len(server.bodies)])
        )
    return _quantiles(taken)


def many_clients(server: Server, clients: int, seconds: float) -> dict[str, Any]:
    """Closed loop, by wrk."""
    with tempfile.TemporaryDirectory() as folder:
        bodies, script = Path(folder, "bodies"), Path(folder, "script.lua")
        bodies.write_bytes(b"\n".join(server.bodies) + b"\n")
        script.write_text(LUA % bodies)
        before = server.cpu_seconds()
        done = subprocess.run(
            ["wrk", "-t1", f"-c{clients}", f"-d{max(round(seconds), 1)}s", "--timeout", "20s",
             "-s", str(script), f"http://127.0.0.1:{server.port}"],
            capture_output=True, text=True, preexec_fn=lambda: _on_core(1),
        )  # fmt: skip
    found = re.search(r"RESULT (.*)", done.stdout)
    if found is None:
        raise CommandError(f"wrk failed: {(done.stderr or done.stdout).strip()[-200:]}")
    result = json.loads(found[1])
    seconds = result.pop("seconds")
    answered = result["requests"] - result["refused"]
    busy = server.cpu_seconds() - before
    return {
        "clients": clients,
        "answers_per_s": round(answered / seconds, 1),
        "cpu_ms_per_request": round(1e3 * busy / max(result["requests"], 1), 3),
    } | {name: round(value, 2) for name, value in result.items()}


def swap(server: Server, clients: int, seconds: float) -> dict[str, Any]:
    """Closed loop, by wrk, while checkpoints take over: each as soon as the one before has."""
    done = threading.Event()

    def swap_again() -> None:
        while not done.is_set():
            so_far = _swaps(server)
            server.process.send_signal(signal.SIGHUP)
            while _swaps(server) == so_far and not done.wait(0.2):
                pass

    before = _swaps(server)
    swapping = threading.Thread(target=swap_again)
    swapping.start()
    found = many_clients(server, clients, seconds)
    done.set()
    swapping.join()
    return {"swaps": _swaps(server) - before} | found


def _swaps(server: Server) -> int:
    """Checkpoints that took over so far."""
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics") as answer:
        text = answer.read().decode()
    found = re.search(r'retailsim_checkpoints_total\{result="taken over"\} ([0-9.e+]+)', text)
    return 0 if found is None else int(float(found[1]))


def open_loop(server: Server, rate: float, seconds: float) -> dict[str, Any]:
    """Requests are due at a rate, and timed from when they are due."""

    async def one(due: float, body: bytes, connections: asyncio.LifoQueue) -> float:
        head = None
        while head is None:
            is_new = connections.empty()
            if is_new:
                reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            else:
                reader, writer = connections.get_nowait()
            writer.write(_request("/v1/next-basket", body))
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                if is_new:  # an older one may have been closed for having been idle
                    raise
        await reader.readexactly(int(re.search(rb"content-length: (\d+)", head)[1]))
        connections.put_nowait((reader, writer))
        if not head.startswith(b"HTTP/1.1 200"):
            return np.inf
        return 1e3 * (time.perf_counter() - due)

    async def all_of_them() -> list[float]:
        connections: asyncio.LifoQueue = asyncio.LifoQueue()
        gaps = np.random.default_rng(0).exponential(1 / rate, round(rate * seconds))
        due = time.perf_counter() + gaps.cumsum()
        tasks = []
        for number, at in enumerate(due.tolist()):
            await asyncio.sleep(max(at - time.perf_counter(), 0))
            body = server.bodies[number % len(server.bodies)]
            tasks.append(asyncio.create_task(one(at, body, connections)))
        return list(await asyncio.gather(*tasks))

    taken = np.array(asyncio.run(all_of_them()))
    refused = int(np.isinf(taken).sum())
    return {"rate": rate, "refused": refused} | _quantiles(taken[np.isfinite(taken)])


def finished_trips(server: Server, first: date) -> dict[str, Any]:
    """Trips of customers with few and with many earlier ones, in turns."""
    client, products = Client(server.port), server_products(server)
    draw = np.random.default_rng(0)

    def trip(customer: str, number: int) -> bytes:
        chosen = draw.choice(len(products), 10, replace=False)
        return json.dumps(
            {
                "customer": customer, "trip_id": f"{customer}-{number}", "hour": 12,
                "date": (first + timedelta(number // 2)).isoformat(), "store": "benchmark",
                "items": [{"product": products[place]} for place in chosen], "spend_pence": 1000,
            }
        ).encode()  # fmt: skip

    customers = {number: f"benchmark {time.time_ns()} {number}" for number in EARLIER}
    for number, customer in customers.items():
        for start in range(0, number, 50):
            told = b",".join(trip(customer, n) for n in range(start, min(start + 50, number)))
            status, said = client.post("/v1/trips/batch", b'{"requests": [' + told + b"]}")
            if status != 200 or b'"error"' in said:
                raise CommandError(f"/v1/trips/batch: {status} {said.decode()[:200]}")
    taken = {number: [] for number in EARLIER}
    for step in range(TRIPS):
        for number, customer in customers.items():
            taken[number].append(client.timed("/v1/trips", trip(customer, number + step)))
    found = {f"after_{number}": _quantiles(values) for number, values in taken.items()}
    few, many = (found[f"after_{number}"]["p50_ms"] for number in EARLIER)
    return found | {"ratio_of_medians": round(many / few, 3)}


def server_products(server: Server) -> list[str]:
    """Codes of some products that the model lists."""
    client = Client(server.port)
    listed = [
        json.loads(client.post("/v1/next-basket", body)[1])["products"]
        for body in server.bodies[:20]
    ]
    return sorted({each["product"] for products in listed for each in products})


def overload(server: Server, seconds: float) -> dict[str, Any]:
    """More clients than may wait, which ask again at once, and how soon all is well after them."""
    before = server.memory_mb()
    taken = _by_status(server, 3 * WAITING, seconds)
    result = {
        "answers_per_s": round(len(taken[200]) / seconds, 1),
        "answered": _quantiles(taken[200]),
        "refused": _quantiles(taken[503]),
    }
    client, start = Client(server.port), time.perf_counter()
    while client.post("/v1/next-basket", server.bodies[0])[0] != 200:
        time.sleep(0.01)
    again = time.perf_counter() - start
    return result | {
        "answered_again_after_s": round(again, 2),
        "memory_mb": [round(before), round(server.memory_mb())],
    }


def _by_status(server: Server, clients: int, seconds: float) -> dict[int, list[float]]:
    """Milliseconds of a closed loop's requests by the status of the answer."""
    selector, taken = selectors.DefaultSelector(), defaultdict(list)
    started: dict[socket.socket, float] = {}
    bodies = itertools.cycle(_request("/v1/next-basket", body) for body in server.bodies)
    for _ in range(clients):
        connection = socket.create_connection(("127.0.0.1", server.port))
        selector.register(connection, selectors.EVENT_READ)
        started[connection] = time.perf_counter()
        connection.sendall(next(bodies))
    stop = time.perf_counter() + seconds
    while (now := time.perf_counter()) < stop:
        for key, _ in selector.select(stop - now):
            connection, said = key.fileobj, b""
            while (ends := said.find(b"\r\n\r\n")) < 0 or len(said) < ends + 4 + int(
                re.search(rb"content-length: (\d+)", said[:ends])[1]
            ):
                said += connection.recv(65536)
            now = time.perf_counter()
            taken[int(said[9:12])].append(1e3 * (now - started[connection]))
            started[connection] = now
            connection.sendall(next(bodies))
    for connection in started:
        connection.close()
    selector.close()
    return taken


def _quantiles(taken: Any) -> dict[str, Any]:
    p50, p99 = np.quantile(taken, (0.5, 0.99)).tolist() if len(taken) else (None, None)
    return {
        "requests": len(taken),
        "p50_ms": None if p50 is None else round(p50, 2),
        "p99_ms": None if p99 is None else round(p99, 2),
    }


def questions(cache: TensorCache, customers: int) -> tuple[list[bytes], date]:
    """Bodies about customers with an earlier trip, and the first day after the cache."""
    draw = np.random.default_rng(0)
    codes = cache["customers.code"]
    last_week = cache["days.week"] == cache["trips.week"].max()
    first = EPOCH + timedelta(int(cache["days.date"][last_week].max()) + 1)
    stores = cache["stores.code"]
    bodies = [
        {
            "customer": codes[row].decode(),
            "date": (first + timedelta(int(draw.integers(14)))).isoformat(),
            "hour": int(draw.integers(8, 21)),
            "store": stores[draw.integers(len(stores))].decode(),
        }
        for row in draw.permutation(len(codes))[:customers]
    ]
    return [json.dumps(body).encode() for body in bodies], first


def run(options: argparse.Namespace) -> dict[str, Any]:
    """The result for the options of the command line."""
    if shutil.which("wrk") is None:
        raise InputError("wrk is not installed: it makes the load (apt-get install wrk)")
    import torch

    cache = TensorCache(options.cache)
    bodies, first = questions(cache, options.customers)
    found: dict[str, Any] = {}
    _on_core(1)
    with tempfile.TemporaryDirectory() as folder:
        with served(options, bodies, Path(folder, "states")) as server:
            found["one_client"] = one_client(server, options.seconds)
            found["many_clients"] = many_clients(server, options.clients, options.seconds)
            found["open_loop"] = open_loop(server, options.rate, options.seconds)
            found["finished_trip"] = finished_trips(server, first)
            found["swap"] = swap(server, options.clients, options.seconds)
            found["overload"] = overload(server, options.seconds)
        with served(options, bodies, Path(folder, "states"), "--batch", "1") as server:
            found["unbatched"] = many_clients(server, options.clients, options.seconds)
    ratio = found["many_clients"]["answers_per_s"] / found["unbatched"]["answers_per_s"]
    configuration = {
        "clients": options.clients, "rate": options.rate, "seconds": options.seconds,
        "customers": len(bodies), "cache_digest": cache.digest,
    }  # fmt: skip
    return (
        facts("serving", configuration, torch.device("cpu"))
        | found
        | {"batching_gains": round(ratio, 2)}
    )


def main(arguments: list[str] | None = None) -> int:
    """Run the command; its exit code."""
    gc.disable()  # answers that are there already would wait for it
    made = parser(__doc__)
    made.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="folder of the model")
    made.add_argument(
        "--cache", type=Path, default=Path("cache"), help="tensor cache folder (default: cache)"
    )
    made.add_argument("--clients", type=whole(), default=64, help="at once (default: 64)")
    made.add_argument(
        "--rate", type=positive, default=300.0, help="requests a second, open loop (default: 300)"
    )
    made.add_argument(
        "--seconds", type=positive, default=30.0, help="of each measurement (default: 30)"
    )
    made.add_argument(
        "--customers", type=whole(), default=512, help="asked about in turns (default: 512)"
    )
    return answer(made, run, arguments)


if __name__ == "__main__":
    sys.exit(main())
