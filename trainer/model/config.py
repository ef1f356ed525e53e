"""Sizes of the model."""

from __future__ import annotations

from dataclasses import dataclass

from trainer.commands.errors import InputError
from trainer.model.parts import PARTS


@dataclass(frozen=True)
class WorldModelConfig:
    """Sizes of the model; the widths of T1-T6 are the same in every preset."""

    width: int = 512
    """Channels of encoder and decoder."""
    encoder_layers: int = 4
    state: int = 64
    """State size of the encoder, per channel."""
    conv: int = 4
    """Width of the encoder's convolution over trips."""
    head: int = 64
    """Channels per head of the encoder."""
    expand: int = 2
    """Inner channels of the encoder as a multiple of `width`."""
    chunk: int = 64
    """Steps per chunk of the scan; loaders pack rows of whole chunks."""
    decoder_layers: int = 2
    heads: int = 8
    """Attention heads of the decoder."""
    hidden: int = 2048
    """Inner channels of the decoder's feed-forward part."""
    purchases: int = 128
    """Channels of the scores of earlier purchases."""
    visits: int = 128
    """Channels of the predictions of the next visit."""
    contrastive: int = 128
    """Channels of the embeddings in the contrastive loss."""
    dropout: float = 0.1
    """Dropout in the layers of encoder and decoder."""
    without: tuple[str, ...] = ()
    """Parts that are left out, some of `trainer.model.parts.PARTS`."""

    def __post_init__(self):
        if unknown := set(self.without) - set(PARTS):
            raise InputError(
                f"without: expected some of {', '.join(PARTS)}, not {', '.join(sorted(unknown))}"
            )
        # One order, and no list, as JSON has it: equal configurations are equal.
        ordered = tuple(part for part in PARTS if part in self.without)
        object.__setattr__(self, "without", ordered)


PRESETS: dict[str, WorldModelConfig] = {
    "tiny": WorldModelConfig(
        width=48, encoder_layers=1, state=16, head=16, chunk=16, decoder_layers=1, heads=4,
        hidden=96, purchases=16, visits=16, contrastive=32,
    ),
    "small": WorldModelConfig(
        width=128, encoder_layers=2, state=32, head=32, chunk=32, decoder_layers=1, heads=4,
        hidden=384, purchases=64, visits=64, contrastive=64,
    ),
    "base": WorldModelConfig(),
}  # fmt: skip
