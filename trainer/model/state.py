"""The state of customers: all that is needed to answer questions about their next trip."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load, save
from torch import Tensor

from trainer.cache.reader import TensorCache
from trainer.features.chain import Chain
from trainer.features.customers import CustomerFeatures, describe, priced_items
from trainer.features.kept_purchases import KeptPurchases, purchased
from trainer.features.plans import FinishedTrip
from trainer.features.recorded import recorded_customers, recorded_trips
from trainer.features.tensors import TensorRecord, map_tensors
from trainer.features.trips import Items, Trips, read
from trainer.model.encoder.mamba2 import Mamba2Cache
from trainer.model.purchases.purchase_encoder import CHANNELS

KEPT = ("products", "categories")
"""Names of the parts of `CustomerState.kept`."""


@dataclass(frozen=True)
class EncoderState(TensorRecord):
    """The encoder's state of n customers; its size does not grow with their past."""

    layers: tuple[Mamba2Cache, ...]
    """One cache per layer, of batch n."""
    output: Tensor
    """(n, d) the encoder's output after the last trip; 0 before the first."""


class CustomerState:
    """All that is remembered of one customer, updated trip by trip, without a cache.

        state = CustomerState(chain)          a new customer
        state.observe(trip)                   a finished trip, in constant time
        model.answer([state], [plan])         what will they buy?

    `observe` computes features only. The model reads new trips when it is asked something, all of
    them at once (`WorldModel.encode`).

    Size: the encoder's part is constant (74 kB for `small`); the recent trips take 17 bytes each
    and 4 per item, at most `HISTORY_TRIPS` of them; what is kept of purchases 132 bytes for each
    product and each finest category on these trips (36 kB in the mean of 64 LGSR customers); the
    aggregates 8 bytes per product ever bought and a few numbers per store and department. Trips
    that the model has not read take about 500 bytes each and 40 per item.

    Args:
        chain: the chain that the customer shops at.
        segments: codes of price sensitivity and lifestage, 0 unknown (`Chain.segments`).
    """

    def __init__(self, chain: Chain, segments: tuple[int, int] = (0, 0)) -> None:
        self.features = CustomerFeatures(chain, segments)
        self.encoder: EncoderState | None = None
        """State after the trips that the encoder has read, for one customer; None before any."""
        self.kept = tuple(
            KeptPurchases(np.empty(0, np.int32), np.empty((0, CHANNELS), np.float32))
            for _ in range(2)
        )
        """What is kept of products and of finest categories, as of the last trip that does not
        wait."""
        self.waiting: list[tuple[Trips, Items]] = []
        """Finished trips that the model has not read, oldest first, with their items: one by one,
        but for those that `recorded_states` begins with."""
        self.model = ""
        """Fingerprint of the model that encoded the trips."""

    @property
    def chain(self) -> Chain:
        """The chain that the customer shops at."""
        return self.features.chain

    @property
    def logged(self) -> tuple[np.ndarray, np.ndarray]:
        """What the items of recent trips are purchases of, see `Chain.purchases`."""
        return self.chain.purchases(self.features.log.tokens)

    def observe(self, trip: FinishedTrip) -> None:
        """Add a finished trip. Raises ValueError, and leaves the state as it is, where it lies
        before the last one or does not fit the chain: see `describe` and `priced_items`."""
        if not isinstance(trip, FinishedTrip):
            raise ValueError(f"trip: expected a FinishedTrip, not {type(trip).__name__}")
        described = describe([self.features], [trip.plan])
        items = priced_items(trip, self.chain)
        self.features.observe(trip)
        self.waiting.append((described, items))

    def copy(self) -> CustomerState:
        """An independent copy."""
        copied = CustomerState(self.chain)
        copied.features = self.features.copy()
        copied.encoder, copied.kept, copied.model = self.encoder, self.kept, self.model
        copied.waiting = list(self.waiting)
        return copied

    def to_bytes(self) -> bytes:
        """Everything but the chain, as safetensors, which run no code on loading, with a digest
        that tells damage.

        Raises ValueError where the model has not read all trips (call `WorldModel.encode`).
        """
        if self.waiting:
            raise ValueError("trips wait for the encoder: call the model's encode([state]) first")
        arrays = self.features.to_arrays()
        if self.encoder is not None:
            arrays |= {
                "model": np.frombuffer(bytes.fromhex(self.model), np.uint8),
                "encoder.output": self.encoder.output.numpy(force=True),
            }
            for number, layer in enumerate(self.encoder.layers):
                arrays[f"encoder.{number}.conv"] = layer.conv.numpy(force=True)
                arrays[f"encoder.{number}.state"] = layer.state.numpy(force=True)
            for name, kept in zip(KEPT, self.kept, strict=True):
                arrays |= {f"{name}.bought": kept.bought, f"{name}.outputs": kept.outputs}
        arrays = {name: values.copy(order="C") for name, values in arrays.items()}
        return save(arrays | {"digest": _digest(arrays)})

    @classmethod
    def from_bytes(cls, data: bytes, chain: Chain) -> CustomerState:
        """The state that `to_bytes` wrote. Raises ValueError for anything else, be it one bit."""
        try:
            arrays = load(data)
            if not np.array_equal(arrays.pop("digest"), _digest(arrays)):
                raise ValueError("its digest differs")
            state = cls(chain)
            state.features = CustomerFeatures.from_arrays(chain, arrays)
            if "encoder.output" in arrays:
                state.encoder = _encoder_state(arrays)
                state.model = arrays["model"].tobytes().hex()
                state.kept = tuple(
                    KeptPurchases(arrays[f"{name}.bought"], arrays[f"{name}.outputs"])
                    for name in KEPT
                )
            for kept, logged in zip(state.kept, state.logged, strict=True):
                if not np.array_equal(kept.bought, purchased(logged)):
                    raise ValueError("its purchases are not those of its trips")
        except (
            SafetensorError, KeyError, ValueError, TypeError, IndexError, AttributeError,
            OverflowError,
        ) as error:  # fmt: skip
            raise ValueError(f"this is not the state of a customer: {error}") from None
        return state


def recorded_states(
    chain: Chain, cache: TensorCache, customers: Sequence[int], last_week: int
) -> list[CustomerState]:
    """States of customers (n,) of a cache, rows of `customers`, when the weeks up to one are over.

    What observing their trips one by one gives, in a small part of the time. Prices of items are
    those that the cache has. chain: that of the cache.
    """
    rows, lengths = recorded_trips(cache, customers, last_week)
    trips, items = read(cache, rows)
    stop = lengths.cumsum()
    item = torch.searchsorted(items.trip, torch.from_numpy(np.append(0, stop)))
    states = []
    for number, features in enumerate(recorded_customers(chain, cache, customers, last_week)):
        state = CustomerState(chain, features.segments)
        state.features = features
        if features.trips:
            of_trips = slice(int(stop[number] - lengths[number]), int(stop[number]))
            of_items = slice(int(item[number]), int(item[number + 1]))
            own = map_tensors(items, lambda tensor, part=of_items: tensor[part])
            own = replace(own, trip=own.trip - of_trips.start)
            state.waiting.append((map_tensors(trips, lambda t, part=of_trips: t[part]), own))
        states.append(state)
    return states


def _digest(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """SHA-256 of arrays by name, with types and shapes, (32,) uint8."""
    digest = hashlib.sha256()
    for name, values in sorted(arrays.items()):
        digest.update(repr((name, values.dtype.str, values.shape)).encode())
        digest.update(values.tobytes())
    return np.frombuffer(digest.digest(), np.uint8)


def _encoder_state(arrays: Mapping[str, np.ndarray]) -> EncoderState:
    layers, number = [], 0
    while f"encoder.{number}.conv" in arrays:
        layers.append(
            Mamba2Cache(
                *(
                    torch.from_numpy(arrays[f"encoder.{number}.{f.name}"])
                    for f in fields(Mamba2Cache)
                )
            )
        )
        number += 1
    return EncoderState(tuple(layers), torch.from_numpy(arrays["encoder.output"]))


def split(state: EncoderState) -> list[EncoderState]:
    """The states of a batch one by one, as independent copies."""
    return [
        map_tensors(state, lambda tensor, place=place: tensor[place : place + 1].clone())
        for place in range(len(state.output))
    ]
