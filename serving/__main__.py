"""Command line: python -m serving: the model over HTTP."""

from __future__ import annotations

import argparse
import ipaddress
import logging
import os
import signal
import socket
import sys
from pathlib import Path

import torch
import uvicorn

from serving.app import create_app
from serving.garbage import collect_seldom
from serving.limits import BATCH, LIVE
from serving.refusals import refusing
from serving.service import Bounds, Service
from trainer.cache.reader import TensorCache
from trainer.commands.command import run_command
from trainer.commands.errors import InputError
from trainer.commands.options import CommandParser, threads, whole

KEY = "RETAILSIM_API_KEY"
"""Of the environment."""
SHORTEST_KEY = 16
SWITCH_SECONDS = 0.0005
"""After which Python lets another thread go on. The default of 5 ms is what a request may take."""
CONNECTIONS = 1024


def _parser() -> CommandParser:
    parser = CommandParser(
        prog="python -m serving",
        description="Answer questions about next baskets and visits over HTTP, and learn of "
        "finished trips: docs/serving.md. On any address but the loopback a key is demanded: that "
        f"of the environment variable {KEY}. On SIGHUP the checkpoint is read again.",
    )
    add = parser.add_argument
    add("checkpoint", type=Path, metavar="CHECKPOINT", help="folder of the model")
    add("--cache", type=Path, default=Path("cache"), help="tensor cache folder (default: cache)")
    add(
        "--states", type=Path, metavar="FOLDER",
        help="where finished trips and states are kept (default: the cache's, with .states)",
    )  # fmt: skip
    add(
        "--prices", type=Path, metavar="FOLDER",
        help="what python -m simulator.prices found on this cache, to answer questions about "
        "prices (default: they are not answered)",
    )  # fmt: skip
    add("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    add("--port", type=whole(0, 65535), default=8000, help="0 takes a free one (default: 8000)")
    add(
        "--until-week", type=whole(), metavar="WEEK",
        help="the last week of the cache that is over; what was bought later is shown beside "
        "answers (default: the last week of the cache)",
    )  # fmt: skip
    add("--threads", type=threads, default=1, help="torch's CPU threads (default: 1)")
    add(
        "--batch", type=whole(1, BATCH), default=BATCH, metavar="N",
        help=f"questions that are answered at once, at most (default: {BATCH})",
    )  # fmt: skip
    add(
        "--live", type=whole(), default=LIVE, metavar="N",
        help=f"states of customers in memory, at most (default: {LIVE})",
    )  # fmt: skip
    return parser


def _run(options: argparse.Namespace) -> None:
    only_loopback = _is_loopback(options.host)
    key = os.environ.get(KEY)
    if key is not None and len(key) < SHORTEST_KEY:
        raise InputError(f"{KEY}: expected at least {SHORTEST_KEY} characters")
    if key is not None and not (key.isascii() and key.isprintable() and key == key.strip()):
        raise InputError(
            f"{KEY}: expected letters, digits and signs of ASCII, without spaces or line ends "
            "around them: no header could hold it"
        )
    if key is None and not only_loopback:
        raise InputError(
            f"--host: {options.host} can be reached by others: set {KEY} in the environment, or "
            "listen on 127.0.0.1"
        )
    logging.basicConfig(
        level=logging.DEBUG if options.debug else logging.INFO, format="%(asctime)s %(message)s"
    )
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    torch.set_num_threads(options.threads)
    sys.setswitchinterval(SWITCH_SECONDS)
    # Until the loop handles it, a signal to read the checkpoint again must wait, and not kill.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    listening = _listen(options.host, options.port)
    cache = TensorCache(options.cache)
    whole_path = Path(os.path.abspath(options.cache))  # of `.`, which has no name
    states = options.states or whole_path.with_name(f"{whole_path.name}.states")
    service = Service(
        options.checkpoint, cache, states, options.until_week,
        Bounds(batch=options.batch, live=options.live), options.prices,
    )  # fmt: skip
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(service, key, only_loopback), log_config=None, log_level="warning",
            access_log=False, server_header=False, date_header=False, lifespan="on", ws="none",
            http=refusing(service),
            limit_concurrency=CONNECTIONS, backlog=CONNECTIONS, timeout_graceful_shutdown=10,
        )
    )  # fmt: skip
    host, port = listening.getsockname()[:2]
    address = f"[{host}]" if ":" in host else host
    print(
        f"{options.checkpoint} on http://{address}:{port} "
        f"({len(service.served.customers):,} recorded customers, states in {states})",
        flush=True,
    )
    collect_seldom()
    server.run(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    """A socket that others may connect to. Raises InputError."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(CONNECTIONS)
    except (OSError, UnicodeError) as error:  # the latter of names that no host can have
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"--host, --port: {host}:{port}: {reason}") from None
    listening.setblocking(False)
    return listening


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code: 0, or 2 with one line saying what is wrong."""
    return run_command(_parser(), _run, arguments)


if __name__ == "__main__":
    sys.exit(main())
