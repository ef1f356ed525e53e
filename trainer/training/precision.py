"""Where a training step computes in bfloat16."""

from __future__ import annotations

from dataclasses import dataclass

import torch

PRECISIONS = ("auto", "bfloat16", "float32")
NATIVE = ("amx_bf16", "avx512_bf16")
"""What processors that multiply bfloat16 themselves say of themselves."""


@dataclass(frozen=True)
class Precision:
    """Where autocast is on; sums, the scan and the softmax stay in float32."""

    device: str
    model: bool
    """In the model as a whole."""
    large_products: bool
    """Where products of matrices are large: logits and the scores of own products."""

    @classmethod
    def of(cls, name: str, device: torch.device) -> Precision:
        """What a name of `PRECISIONS` means on a device.

        A GPU gains by bfloat16 everywhere, a CPU only in large products: elsewhere it loses more
        by conversions. `auto` takes it where it is native.
        """
        if name not in PRECISIONS:
            raise ValueError(f"precision: expected one of {', '.join(PRECISIONS)}, not {name!r}")
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
