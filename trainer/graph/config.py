"""What the training of the graph embeddings can be told."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SageConfig:
    """Chosen on a split of the LGSR sample that no reported figure uses: docs/embeddings.md."""

    width: int = 256
    """Of a node's vector."""
    epochs: int = 200
    """Steps, each over all pairs."""
    width_in: int = 64
    """Of a node's input: the sum of its categories', attributes' and degree's parts."""
    width_hidden: int = 128
    """Of a node's vector after the first layer."""
    dropout: float = 0.1
    """Of inputs and of first-layer vectors."""
    learning_rate: float = 1e-2
    """Of Adam, at its height."""
    warm_up: float = 0.1
    """Share of the epochs before the height; a cosine to zero follows."""
    asked_share: float = 0.3
    """Of the pairs, taken out of the messages and asked for at each step."""
    negatives: int = 1024
    """Nodes drawn per step, against which every node that is asked about is compared."""
    stand_in_share: float = 0.25
    """Of the questions, asked a second time with a category in the place of the product."""
    negative_power: float = 0.5
    """Negatives are drawn in proportion to (degree + 1) to this power."""

    def __post_init__(self) -> None:
        for name in ("width", "epochs"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
