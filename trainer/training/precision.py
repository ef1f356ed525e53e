"""Where a training step computes in bfloat16."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from trainer.commands.errors import InputError

PRECISIONS = ("auto", "bfloat16", "float32")
NATIVE = ("amx_bf16", "avx512_bf16")
"""Processor capabilities that mean native bfloat16 multiplication."""


@dataclass(frozen=True)
class Precision:
    """Where autocast is on; sums, the scan and the softmax stay in float32."""

    device: str
    model: bool
    """In the whole model."""
    large_products: bool
    """In large matrix products only: logits and the scores of previously bought products."""

    @classmethod
    def of(cls, name: str, device: torch.device) -> Precision:
        """The precision that a name of `PRECISIONS` means on a device.

        bfloat16 is faster everywhere on a GPU, and on a CPU in large products only: elsewhere
        conversions cost more than they save. `auto` uses it where the device supports it natively.
        """
        if name not in PRECISIONS:
            raise InputError(f"precision: expected one of {', '.join(PRECISIONS)}, not {name!r}")
        gpu = device.type == "cuda"
        low = name == "bfloat16" or (name == "auto" and (gpu or _native()))
        return cls(device.type, model=low and gpu, large_products=low)

    def for_model(self) -> torch.autocast:
        """The context to run the model in."""
        return torch.autocast(self.device, dtype=torch.bfloat16, enabled=self.model)

    def for_loss(self) -> torch.autocast:
        """The context to run the loss in."""
        return torch.autocast(self.device, dtype=torch.bfloat16, enabled=self.large_products)


def _native() -> bool:
    """Whether this machine's processor multiplies bfloat16; not known before torch 2.12."""
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()
    return any(capabilities.get(name, False) for name in NATIVE)
