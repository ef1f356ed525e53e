"""Several processes of one training run, started by torchrun."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist

# Its functions take the process group of the moment they are defined as a default: imported while
# there is one, by whatever needs it first, they would keep that group's threads past its end, and
# a thread that lives as long as the interpreter can abort the process.
import torch.distributed.nn

from trainer.commands.errors import ExpectedError, InputError


class RankError(ExpectedError):
    """Another process of the training has ended."""


TORCHRUN = "torchrun sets these; start with it, or unset WORLD_SIZE for one process"
WORKERS = 8
"""Most loader processes of a rank."""


@dataclass(frozen=True)
class Ranks:
    """Which process this is, of how many, and the device it computes on."""

    rank: int
    count: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        """Whether this process writes and prints."""
        return self.rank == 0

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """The sum over all processes, on every one of them; float64."""
        total = values.detach().to(self.device, torch.float64)
        if self.count > 1:
            dist.all_reduce(total)
        return total.cpu()

    def agree(self, flag: bool) -> bool:
        """What the first process says, on every one of them."""
        return bool(self.of_first(float(flag)))

    def of_first(self, number: float) -> float:
        """The first process's number, on every one of them."""
        if self.count == 1:
            return number
        answer = torch.tensor([number], dtype=torch.float64, device=self.device)
        dist.broadcast(answer, 0)
        return answer.item()

    def loader_workers(self) -> int:
        """How many loader processes this rank starts.

        A GPU is faster than one loader process, so the rank uses all of its share of the cores. On
        a CPU they would compete with the model for cores, and their batches have to be copied.
        """
        if self.device.type == "cpu":
            return 0
        cores = len(os.sched_getaffinity(0)) // self.count
        return min(max(cores - 1, 1), WORKERS)

    def wait(self) -> None:
        """Wait until every process has called this."""
        if self.count > 1:
            dist.barrier()


def _from_torchrun(name: str, lowest: int, most: int) -> int:
    """A whole number of the environment, the lowest one where it is not set. Raises InputError."""
    text = os.environ.get(name, str(lowest))
    if not re.fullmatch("[0-9]{1,9}", text) or not lowest <= int(text) <= most:
        raise InputError(
            f"{name}: expected a whole number from {lowest} to {most}, not {text!r}: {TORCHRUN}"
        )
    return int(text)


@contextmanager
def join_ranks(device: str = "auto") -> Iterator[Ranks]:
    """Join the other processes that torchrun started; alone without it.

    device: `auto` (a GPU where there is one), `cpu` or `cuda`. Processes talk over NCCL on GPUs and
    gloo elsewhere. Raises InputError for a device that is not there and for what torchrun would not
    set, RankError where the others are not reached or another process ends while this one waits for
    it.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise InputError(f"device: expected auto, cpu or cuda, not {device!r}")
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("device: this machine has no CUDA GPU that torch can use")
    kind = "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"
    count = _from_torchrun("WORLD_SIZE", 1, 1 << 20)
    if kind == "cuda":
        torch.cuda.set_device(_from_torchrun("LOCAL_RANK", 0, torch.cuda.device_count() - 1))
    if count == 1:
        yield Ranks(0, 1, torch.device(kind))
        return
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        if name not in os.environ:
            raise InputError(f"WORLD_SIZE is {count} and {name} is not set: {TORCHRUN}")
    for name, most in (("RANK", count - 1), ("MASTER_PORT", 65535)):
        _from_torchrun(name, 0, most)
    try:
        dist.init_process_group("nccl" if kind == "cuda" else "gloo")
    except dist.DistError as error:
        reason = str(error).split("\n")[0]
        raise RankError(
            f"the other processes of this training are not reached: {reason}"
        ) from error
    try:
        yield Ranks(dist.get_rank(), count, torch.device(kind))
    except RuntimeError as error:
        if "gloo" in str(error) or isinstance(error, dist.DistError):
            raise RankError("another process of this training has ended, and says why") from error
        raise
    finally:
        dist.destroy_process_group()
