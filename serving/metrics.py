"""What an operator watches: whether answers are fast, and whether they are right."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

LATENCY = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
"""Seconds."""
BATCHES = (1, 2, 4, 8, 16, 32, 64)
EDGES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
"""Between groups of products by their probability, of which expected and observed are compared."""
GROUPS = ("0", *(f"{edge:g}" for edge in EDGES))


class Metrics:
    """The metrics of one server, in the text format of Prometheus."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.latency = Histogram(
            "retailsim_request_seconds", "Time to answer", ["route", "status"],
            registry=self.registry, buckets=LATENCY,
        )  # fmt: skip
        self.batch = Histogram(
            "retailsim_batch_size", "Requests that the model's thread worked on at once",
            registry=self.registry, buckets=BATCHES,
        )  # fmt: skip
        self.model = Histogram(
            "retailsim_batch_seconds", "Time of a batch in the model's thread",
            registry=self.registry, buckets=LATENCY,
        )  # fmt: skip
        self.refused = Counter(
            "retailsim_refusals", "Requests that were refused", ["reason"], registry=self.registry
        )
        self.trips = Counter(
            "retailsim_trips", "Finished trips that were told", ["result"], registry=self.registry
        )
        self.checkpoints = Counter(
            "retailsim_checkpoints", "Checkpoints that were read", ["result"],
            registry=self.registry,
        )  # fmt: skip
        self.expected = Counter(
            "retailsim_calibration_expected_items",
            "Products that finished trips were expected to hold, by the probability of each",
            ["p_from"], registry=self.registry,
        )  # fmt: skip
        self.observed = Counter(
            "retailsim_calibration_observed_items", "Products that they held",
            ["p_from"], registry=self.registry,
        )  # fmt: skip

    def watch(self, name: str, about: str, value: Callable[[], float]) -> None:
        """A number that is asked for when metrics are."""
        Gauge(f"retailsim_{name}", about, registry=self.registry).set_function(value)

    def compare(self, p: np.ndarray, is_bought: np.ndarray) -> None:
        """Count probabilities (n,) of products, and whether each was bought, (n,) bool."""
        group = np.searchsorted(EDGES, p, side="right")
        expected = np.bincount(group, p, len(GROUPS))
        observed = np.bincount(group[is_bought], minlength=len(GROUPS))
        for name, expects, found in zip(GROUPS, expected.tolist(), observed.tolist(), strict=True):
            self.expected.labels(name).inc(expects)
            self.observed.labels(name).inc(found)

    def text(self) -> bytes:
        """All of it."""
        return generate_latest(self.registry)
