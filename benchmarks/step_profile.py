"""The time of a training step by part of the model.

Every method of the model and of its children gets a label in torch's profiler. An operation belongs
to the innermost label around it; an operation of the backward pass belongs to the part of the
forward operation that it differentiates (both have the same sequence number in autograd).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import wraps
from types import FunctionType
from typing import Any

import torch
from torch import nn
from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import ProfilerActivity, profile, record_function
from tqdm import tqdm

from trainer.commands.errors import InputError

LABEL = "part:"
BACKWARD = "autograd::engine::evaluate_function"
REST = "rest of the step"
PASSES = ("forward", "backward")


def profile_steps(setup: Any, steps: int) -> str:
    """A Markdown table of some steps of a `benchmarks.training.Setup`, after one to warm up."""
    model, device = setup.trainer.model, setup.trainer.ranks.device
    label_methods(model)
    for name, child in model.named_children():
        label_methods(child, name)
    for loss in setup.trainer.losses.values():
        label_methods(loss, "loss")
    batches = iter(setup.loader)
    setup.step(next(batches))
    activities = [ProfilerActivity.CPU]
    if device.type == "cuda":
        activities.append(ProfilerActivity.CUDA)
    with profile(activities=activities) as profiler:
        for _ in tqdm(range(steps), desc="profile", unit="step"):
            with record_function(f"{LABEL}loader"):
                batch = next(batches, None)
            if batch is None:
                raise InputError(f"--batches: the cache has fewer than {steps + 1} batches")
            with record_function(f"{LABEL}{REST}"):
                setup.step(batch)
    return table(by_part(profiler.events()), steps, device.type == "cuda")


def label_methods(module: nn.Module, part: str | None = None) -> None:
    """Label the methods that the trainer defines, as `part` or, if left out, by their name."""
    kinds = [kind for kind in type(module).__mro__ if kind.__module__.startswith("trainer.")]
    for name in {name for kind in kinds for name in vars(kind) if not name.startswith("__")}:
        if isinstance(getattr(type(module), name), FunctionType):
            setattr(module, name, _labelled(getattr(module, name), part or name.lstrip("_")))


def _labelled(method: Callable, part: str) -> Callable:
    @wraps(method)
    def run(*arguments, **options):
        with record_function(f"{LABEL}{part}"):
            return method(*arguments, **options)

    return run


def by_part(events: Iterable[FunctionEvent]) -> dict[str, dict[str, float]]:
    """Microseconds by part: `forward`, `backward` on the processor, and `gpu`."""
    events = [event for event in events if event.device_type == torch.autograd.DeviceType.CPU]
    events.sort(key=lambda event: event.time_range.start)
    # Of several events with one number the last is the differentiated operation; those before it
    # need no gradient.
    forward = {
        event.sequence_nr: _part(event)
        for event in events
        if event.sequence_nr >= 0 and _derivative(event) is None
    }
    found: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for event in events:
        derivative = _derivative(event)
        if derivative is None:
            part, where = _part(event), "forward"
        else:
            part, where = forward.get(derivative.sequence_nr, REST), "backward"
        found[part][where] += event.self_cpu_time_total
        found[part]["gpu"] += event.self_device_time_total
        if event.name.startswith(BACKWARD) and event.cpu_parent is None:
            # With a GPU the backward pass has a separate thread, for which the step waits.
            found[REST]["forward"] -= event.cpu_time_total
    return {part: dict(times) for part, times in found.items()}


def _ancestors(event: FunctionEvent) -> Iterable[FunctionEvent]:
    while event is not None:
        yield event
        event = event.cpu_parent


def _part(event: FunctionEvent) -> str:
    """The innermost label around an event of the forward pass."""
    for around in _ancestors(event):
        if around.name.startswith(LABEL):
            return around.name.removeprefix(LABEL)
        if around.name.startswith("Optimizer."):
            return "optimiser"
    return REST


def _derivative(event: FunctionEvent) -> FunctionEvent | None:
    """The backward pass's node that an event is part of, if any."""
    return next((e for e in _ancestors(event) if e.name.startswith(BACKWARD)), None)


def table(found: dict[str, dict[str, float]], steps: int, gpu: bool) -> str:
    """Milliseconds per step and shares, the largest part first."""
    groups = {"of processor": PASSES} | ({"of GPU": ("gpu",)} if gpu else {})
    kinds = [kind for group in groups.values() for kind in group]
    *_, sort_by = groups.values()
    whole = {kind: sum(times.get(kind, 0) for times in found.values()) for kind in kinds}

    def spent(times: dict[str, float], group: Iterable[str]) -> float:
        return sum(times.get(kind, 0) for kind in group)

    order = sorted(found, key=lambda part: -spent(found[part], sort_by))
    head = ["part", *(f"{kind}, ms" for kind in kinds), *groups]
    rows = [head, ["---"] * len(head)]
    for part, times in [*((part, found[part]) for part in order), ("all", whole)]:
        milliseconds = [f"{times.get(kind, 0) / steps / 1000:.1f}" for kind in kinds]
        shares = [
            f"{100 * spent(times, group) / spent(whole, group):.1f} %" for group in groups.values()
        ]
        rows.append([part, *milliseconds, *shares])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
