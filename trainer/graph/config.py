"""Settings of the graph embeddings and their training."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SageConfig:
    """Settings; the defaults were chosen on an LGSR split that no reported figure uses
    (docs/embeddings.md)."""

    width: int = 256
    """Channels of a node's vector."""
    epochs: int = 200
    """Training steps, each over all pairs."""
    width_in: int = 64
    """Channels of a node's input: the sum of what its categories, attributes and degree give."""
    width_hidden: int = 128
    """Channels of a node's vector after the first layer."""
    dropout: float = 0.1
    """Dropout of inputs and of first-layer vectors."""
    learning_rate: float = 1e-2
    """Peak learning rate of Adam."""
    warm_up: float = 0.1
    """Share of the epochs before the peak; a cosine to zero follows."""
    target_share: float = 0.3
    """Share of the pairs that are targets of a step and pass no messages in it."""
    negatives: int = 1024
    """Nodes drawn per step, to which every source is compared."""
    stand_in_share: float = 0.25
    """Share of the targets that are repeated with a category in place of the source product."""
    negative_power: float = 0.5
    """Negatives are drawn in proportion to (degree + 1) to this power."""

    def __post_init__(self) -> None:
        for name in ("width", "epochs"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
