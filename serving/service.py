"""A server without HTTP: a chain, a store, a thread that answers, and checkpoints to change to."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from pathlib import Path

from serving.batcher import Batcher
from serving.chain import ServedChain
from serving.engine import Engine
from serving.garbage import collect_seldom
from serving.limits import BATCH, LIVE, SECONDS, WAITING
from serving.metrics import Metrics
from serving.prices import Prices
from serving.requests import Prepare, TakeOver, Warm
from serving.store import Store
from trainer.cache.reader import TensorCache
from trainer.commands.errors import ExpectedError
from trainer.model.checkpoint import Checkpoint, load_checkpoint, model_for
from trainer.model.world_model import WorldModel

log = logging.getLogger("retailsim.serving")


@dataclass(frozen=True)
class Bounds:
    """How much is held and how long is waited."""

    batch: int = BATCH
    waiting: int = WAITING
    seconds: float = SECONDS
    live: int = LIVE


class Service:
    """Everything behind the routes.

    Args:
        checkpoint: folder of the model; read again by `swap`.
        cache: recorded customers, of the checkpoint's vocabulary.
        states: folder of the store.
        last_week: of the cache that is over; its last one if left out.
        bounds: how much is held and how long is waited.
        prices: folder of `python -m simulator.prices`, where questions about prices are answered.

    Raises CheckpointError, StoreError and InputError.
    """

    def __init__(
        self, checkpoint: Path, cache: TensorCache, states: Path, last_week: int | None = None,
        bounds: Bounds = Bounds(), prices: Path | None = None,
    ) -> None:  # fmt: skip
        self.folder, self.cache, self.bounds = checkpoint, cache, bounds
        read = _read(checkpoint, cache)
        self.served = ServedChain(cache, last_week)
        self.prices = None if prices is None else Prices(prices, cache, self.served.last_week)
        self.metrics = Metrics()
        self.store = Store(states)
        self.batcher = Batcher(
            self._work, bounds.batch, bounds.waiting, bounds.seconds, lambda: self.engine.rest()
        )
        self.engine = Engine(
            self.served, self.store, *read, bounds.live, self.metrics, self.batcher.finish
        )  # fmt: skip
        self._swapping = asyncio.Lock()
        watch = self.metrics.watch
        watch("queue_length", "Requests that wait for the model", lambda: len(self.batcher))
        watch("live_states", "States of customers in memory", lambda: self.engine.live)

    def start(self) -> None:
        """Answer, from within the running loop."""
        self.batcher.start(asyncio.get_running_loop())

    def stop(self) -> None:
        """Answer what waits, save states, and release the folder of the store."""
        self.batcher.stop()
        self.engine.close()
        self.store.close()

    async def swap(self) -> bool:
        """Read the checkpoint's folder again, and let its model take over when states of the latest
        customers are ready. A checkpoint that cannot be used changes nothing; returns False."""
        async with self._swapping:
            loop = asyncio.get_running_loop()
            try:
                checkpoint, model = await loop.run_in_executor(None, _read, self.folder, self.cache)
                left = await self.batcher.ask(Prepare(checkpoint, model))
                while left:
                    left = await self.batcher.ask(Warm())
                await self.batcher.ask(TakeOver())
                collect_seldom()  # the former model goes
            except Exception as error:
                self.metrics.checkpoints.labels("refused").inc()
                known = isinstance(error, ExpectedError)
                reason = str(error) if known else f"{type(error).__name__}: {error}"
                log.error("checkpoint refused, the former one stays: %s", reason)
                return False
            self.metrics.checkpoints.labels("taken over").inc()
            log.info("weights %s answer from now on", checkpoint.weights_digest[:12])
            return True

    def _work(self, jobs: list) -> None:
        self.engine.work(jobs)


def _read(folder: Path, cache: TensorCache) -> tuple[Checkpoint, WorldModel]:
    checkpoint = load_checkpoint(folder)
    model = model_for(checkpoint, cache)
    _ = model.fingerprint  # it takes a while, and states need it
    return checkpoint, model
