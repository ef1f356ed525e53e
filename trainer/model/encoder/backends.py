"""Backends of the state-space scan and its convolution: PyTorch, or kernels for GPUs.

`choose` decides once; `Mamba2Encoder.use` applies the choice to a model. Parameters and checkpoints
do not depend on it. Only whole passes differ: `step` is PyTorch with every backend.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from types import ModuleType

import torch
from torch import Tensor

from trainer.commands.errors import InputError
from trainer.model.encoder.convolution import causal_conv
from trainer.model.encoder.kernels import conv_by, scan_by
from trainer.model.encoder.scan import ssd_scan

NAMES = ("auto", "torch", "mamba-ssm")
MAMBA1 = "selective_scan_cuda"
"""mamba-ssm's compiled extension."""


@dataclass(frozen=True)
class Backend:
    """One way to compute a Mamba-2 layer's whole passes."""

    name: str
    """`torch` or `mamba-ssm`."""
    reason: str
    """What computes it and why, as one line to print."""
    scan: Callable
    """Called as `trainer.model.encoder.scan.ssd_scan`."""
    conv: Callable
    """Called as `trainer.model.encoder.convolution.causal_conv`."""


TORCH = Backend("torch", "scan: PyTorch", ssd_scan, causal_conv)


class _Missing(Exception):
    """mamba-ssm cannot run: arguments are what is missing, and what to do about it."""


def choose(name: str = "auto", device: torch.device | str | None = None) -> Backend:
    """The backend of this name, on this machine.

    Args:
        name: `auto` is mamba-ssm where it can run and PyTorch elsewhere; tensors on the CPU are
            computed by PyTorch in any case. `torch` and `mamba-ssm` have no fallback, except that
            the convolution is PyTorch's where causal-conv1d is missing.
        device: where the model is; if left out, a GPU is assumed where there is one.

    Raises:
        ValueError: an unknown name, or mamba-ssm was requested and cannot run; the message says
            what is missing and what to do.
    """
    if name not in NAMES:
        raise InputError(f"backend: expected {', '.join(NAMES)}, not {name!r}")
    if name == "torch":
        return replace(TORCH, reason="scan: PyTorch, as requested")
    try:
        return _mamba_ssm(device, name == "auto")
    except _Missing as missing:
        reason, remedy = missing.args
        if name == "auto":
            return replace(TORCH, reason=f"scan: PyTorch, because {reason}")
        raise InputError(
            f"backend: mamba-ssm cannot run, because {reason}: {remedy}, or --backend torch"
        ) from None


def _mamba_ssm(device: torch.device | str | None, cpu_too: bool) -> Backend:
    if not torch.cuda.is_available():
        raise _Missing("there is no CUDA device", "run on a GPU, with a torch built for CUDA")
    if device is not None and torch.device(device).type != "cuda":
        raise _Missing(f"the device is {device}", "use --device cuda")
    for module, package in (("triton", "Triton"), ("mamba_ssm", "mamba-ssm")):
        if importlib.util.find_spec(module) is None:
            raise _Missing(f"{package} is not installed", "install it as docs/model.md says")
    try:
        version, kernel = import_scan_kernel()
    except Exception as error:  # packages of other versions may raise anything
        raise _Missing(
            f"mamba-ssm cannot be imported ({_in_one_line(error)})",
            "install versions that fit together",
        ) from error
    reason = f"scan: mamba-ssm {version} (Triton), convolution: "
    conv = causal_conv
    try:
        package = importlib.import_module("causal_conv1d")
        conv = partial(conv_by, package.causal_conv1d_fn)
        reason += f"causal-conv1d {package.__version__}"
    except ModuleNotFoundError:
        reason += "PyTorch, because causal-conv1d is not installed"
    except Exception as error:
        reason += f"PyTorch, because causal-conv1d cannot be imported ({_in_one_line(error)})"
    scan = partial(scan_by, kernel)
    return Backend(
        "mamba-ssm",
        reason,
        partial(_on_gpu, scan, ssd_scan if cpu_too else None),
        partial(_on_gpu, conv, causal_conv if cpu_too else None),
    )


def import_scan_kernel() -> tuple[str, Callable]:
    """The version of mamba-ssm and its `mamba_chunk_scan_combined`.

    `import mamba_ssm` always imports its compiled extension for Mamba-1, but Mamba-2 needs only
    Triton. Where the extension was not built, an empty module takes its place during the import;
    it is removed from `sys.modules` afterwards, and after a failure so is all of mamba-ssm that was
    imported with it. An extension that exists is never replaced, even if it does not load.

    Raises whatever importing mamba-ssm raises.
    """
    absent = MAMBA1 not in sys.modules and importlib.util.find_spec(MAMBA1) is None
    before = set(sys.modules)
    if absent:
        sys.modules[MAMBA1] = ModuleType(MAMBA1)
    try:
        package = importlib.import_module("mamba_ssm")
        combined = importlib.import_module("mamba_ssm.ops.triton.ssd_combined")
        return package.__version__, combined.mamba_chunk_scan_combined
    except BaseException:
        for name in set(sys.modules) - before:
            if name.partition(".")[0] == "mamba_ssm":
                del sys.modules[name]
        raise
    finally:
        if absent:
            del sys.modules[MAMBA1]


def _on_gpu(kernel_form: Callable, torch_form: Callable | None, x: Tensor, *rest, **options):
    """The kernel for tensors on a GPU; elsewhere `torch_form`, or ValueError if it is None."""
    if x.is_cuda:
        return kernel_form(x, *rest, **options)
    if torch_form is None:
        raise InputError(f"x is on {x.device}, and mamba-ssm was requested: move the model to cuda")
    return torch_form(x, *rest, **options)


def _in_one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:200]}"
