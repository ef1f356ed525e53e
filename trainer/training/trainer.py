"""The training loop: phases, checkpoints, resuming, validation."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from trainer.batches.batch import TimelineBatch
from trainer.batches.loaders import WorldModelDataLoader, draw_seed
from trainer.batches.timelines import WorldModelDataset
from trainer.cache.atomic import recover
from trainer.cache.reader import TensorCache
from trainer.features.settings import FeatureSettings
from trainer.model.checkpoint import (
    CheckpointError,
    NotFiniteError,
    check_replaceable,
    load_checkpoint,
    not_finite,
    save_checkpoint,
)
from trainer.model.outputs import Predictions
from trainer.model.world_model import WorldModel
from trainer.training.allocator import return_freed_memory
from trainer.training.averaging import AveragedWeights
from trainer.training.config import Phase, TrainingConfig
from trainer.training.curves import write_curves
from trainer.training.folder import BEST, LAST, clear
from trainer.training.losses import PARTS, WorldModelLoss
from trainer.training.optimiser import adamw, load_state, state_of
from trainer.training.precision import Precision
from trainer.training.ranks import Ranks
from trainer.training.shards import steps_of
from trainer.training.targets import targets

CHECK_BATCHES = 20
"""Batches after which the ranks agree whether to save, and freed memory is returned. Not after
each: to agree is to wait."""


class Trainer:
    """Trains a model on a cache and writes checkpoints and curves to a folder.

        folder/last       the newest checkpoint, from which training goes on
        folder/best       the best on validation: what to evaluate and use
        folder/curves.jsonl   one line per epoch: losses, validation, speed
        folder/tensorboard    the same, where TensorBoard is installed

    What is validated and saved as a model is the average of the weights over the last steps
    (`AveragedWeights`); `last` holds those of the last step besides.

    Args:
        model: on any device; it is moved to that of `ranks`.
        cache: what to train on; where it is cut, the shard of this process
            (`trainer.training.shards.open_cache`).
        config: phases, rates, batch size, seed.
        folder: where to write; no other run may write there (`trainer.training.folder`).
        validate: returns the score of a model, higher is better, and further figures to log;
            called by the first process alone.
        ranks: this process and how many others train with it; one process if left out.
        progress: show progress bars.
    """

    def __init__(
        self,
        model: WorldModel,
        cache: TensorCache,
        config: TrainingConfig,
        folder: Path,
        validate: Callable[[WorldModel], tuple[float, dict[str, float]]] | None,
        ranks: Ranks | None = None,
        progress: bool = True,
    ) -> None:
        self.ranks = ranks or Ranks(0, 1, torch.device("cpu"))
        self.cache, self.config, self.folder, self.validate = cache, config, folder, validate
        self.model = model.to(self.ranks.device)
        self.precision = Precision.of(config.precision, self.ranks.device)
        self.model.purchases.use_bfloat16 = self.precision.large_products
        self.progress = progress and self.ranks.is_first
        self.optimiser = adamw(self.model, config.learning_rate(0, 0), config.weight_decay)
        self.averaged = AveragedWeights(self.model, config.averaging)
        self.datasets = {
            phase: WorldModelDataset(cache, "train", first_week=_first_week(cache, phase))
            for phase in config.phases
        }
        self.steps = {
            phase: steps_of(dataset, self._tokens(phase), self.ranks)
            for phase, dataset in self.datasets.items()
            if cache.shard is not None
        }
        """Batches of an epoch of each phase, where the cache is cut."""
        self.losses = {
            phase: WorldModelLoss(phase.losses, config.gamma).to(self.ranks.device)
            for phase in config.phases
        }
        self.epoch = 0
        self.curves: list[dict[str, Any]] = []
        self._sums = self._nothing()
        self._saved = time.monotonic()
        self._start = 0  # batches of this epoch that are done when it begins: more after a resume
        self._replica: Any = self.model
        if self.ranks.count > 1:
            self._replica = DistributedDataParallel(self.model)

    def start_over(self) -> None:
        """Remove an earlier run from the folder, so that nothing of it is mixed with this one.

        Raises CheckpointError where `last` or `best` is something else.
        """
        if self.ranks.is_first:
            clear(self.folder)
        self.ranks.wait()

    def resume(self) -> bool:
        """Go on from `folder/last`; False where there is none.

        Raises CheckpointError where it is damaged or of another cache or configuration, and where
        the best so far is missing.
        """
        last = self.folder / LAST
        if self.ranks.is_first:
            recover(last)
        self.ranks.wait()
        checkpoint = load_checkpoint(last) if last.exists() else None
        weights = int(checkpoint.weights_digest[:12], 16) if checkpoint else 0
        if self.ranks.of_first(weights) != weights:
            raise CheckpointError(
                f"{last} is not here as it is on the first process's machine: use a folder that "
                "all machines share, or copy it to each"
            )
        if checkpoint is None:
            return False
        progress = checkpoint.progress
        if (shards := progress.get("shards", 1)) != self.cache.shards:
            raise CheckpointError(
                f"{last} was trained on a cache in {shards} parts, not {self.cache.shards}, and "
                "its batches were others: use that cache, or start anew with --fresh"
            )
        if checkpoint.cache_digest != self.cache.digest:
            raise CheckpointError(f"{last} was trained on another cache")
        if setting := FeatureSettings.of(self.cache).difference(checkpoint.features):
            raise CheckpointError(
                f"{last} was trained with another {setting} of the features than this version "
                "has, so its weights would mean something else: start anew with --fresh"
            )
        try:
            config = TrainingConfig.from_dict(progress["training"])
        except (KeyError, ValueError) as error:
            raise CheckpointError(f"{last} holds no usable configuration: {error}") from None
        if changed := [
            field.name
            for held, own in ((config, self.config), (checkpoint.config, self.model.config))
            for field in fields(held)
            if getattr(held, field.name) != getattr(own, field.name)
        ]:
            raise CheckpointError(
                f"{last} was trained with another configuration (different: {', '.join(changed)}): "
                "use the same options, or another folder"
            )
        try:
            self.model.load_state_dict(checkpoint.weights)
            self.averaged.load(checkpoint.training)
            load_state(self.optimiser, self.model, checkpoint.training)
            sums = checkpoint.training["sums"].to(self.ranks.device)
            self.epoch, self._start = progress["epoch"], progress["batch"]
            self.curves = progress["curves"]
        except (KeyError, RuntimeError) as error:
            raise CheckpointError(
                f"{last} holds nothing to go on from ({error}): start anew with --fresh, or use "
                "another folder"
            ) from None
        if self.ranks.is_first:  # they are the sums of all ranks
            self._sums = sums
            if self.curves and not (self.folder / BEST).exists():
                raise CheckpointError(
                    f"{self.folder / BEST}, the best of {len(self.curves)} epochs, is missing, and "
                    "none may be better: put it back beside last, or start anew with --fresh"
                )
        return True

    def fit(self) -> list[dict[str, Any]]:
        """Train through the phases, each until validation has not improved for `patience` epochs.

        Returns the curves: a dict per epoch. Raises NotFiniteError where the loss, a weight or a
        sum of the optimiser is not a finite number; `folder/last` is then from before. Raises
        CheckpointError where `folder/last` or `folder/best`, which would be replaced, is no
        checkpoint.
        """
        for name in (LAST, BEST):
            check_replaceable(self.folder / name)
        if self.ranks.is_first:
            self.folder.mkdir(parents=True, exist_ok=True)
        while (epoch := self._next_epoch()) < self.config.epochs:
            self.epoch = epoch
            self._epoch()
        return self.curves

    def _epoch(self) -> None:
        config, epoch = self.config, self.epoch
        phase, _ = config.phase(epoch)
        loader = self.loader(epoch)
        loader.load_state_dict({"seed": loader.seed, "epoch": epoch, "next": self._start})
        total, start, items = len(loader), time.perf_counter(), 0
        self.model.train()
        bar = tqdm(
            total=total, initial=self._start, unit="batch", disable=not self.progress,
            desc=f"epoch {epoch + 1}/{config.epochs} {phase.name}",
        )  # fmt: skip
        with bar:
            for number, batch in enumerate(loader, start=self._start):
                rate = config.learning_rate(epoch, number / total)
                for group in self.optimiser.param_groups:
                    group["lr"] = rate * group["factor"]
                # What dropout draws depends on the batch alone, so that a resumed run draws it too.
                torch.manual_seed(draw_seed(config.seed, epoch, number, self.ranks.rank))
                self._sums += self._summed(self.step(batch))
                items += len(batch.items.token)
                if bar.update() or number + 1 == total:
                    seconds = time.perf_counter() - start
                    bar.set_postfix(loss=f"{self._loss():.3f}", items_s=f"{items / seconds:.0f}")
                if (number + 1) % CHECK_BATCHES == 0 and number + 1 < total:
                    return_freed_memory()
                    if self._is_due():
                        self._save(epoch, number + 1)
        seconds = time.perf_counter() - start
        sums = self.ranks.sum(self._sums).tolist()
        row = {"epoch": epoch + 1, "phase": phase.name, "learning_rate": rate}
        row |= {
            part: sums[i] / sums[len(PARTS) + i]
            for i, part in enumerate(PARTS)
            if sums[len(PARTS) + i]
        }
        row |= {"seconds": seconds, "items_per_s": items * self.ranks.count / seconds}
        self._check_finite(torch.tensor(sums), epoch)
        self.model.eval()
        return_freed_memory()
        if self.ranks.is_first:
            with self.averaged.in_model():
                row["score"], more = self.validate(self.model)
            row |= more
        self.curves.append(row)
        self._sums = self._nothing()
        self.epoch, self._start = epoch + 1, 0
        if self.ranks.is_first:
            write_curves(self.folder, self.curves)
            if self._best() == len(self.curves) - 1:
                self._checkpoint(BEST, epoch + 1, 0)
        self._save(epoch + 1, 0)

    def loader(self, epoch: int) -> WorldModelDataLoader:
        """This rank's batches of an epoch, from 0, masked and sized as its phase says.

        Of a whole cache they are parts of the batches of all ranks, of a shard its own.
        """
        config, ranks = self.config, self.ranks
        phase, _ = config.phase(epoch)
        if self.cache.shard is None:
            part = {"seed": config.seed, "rank": ranks.rank, "ranks": ranks.count}
        else:
            own = draw_seed(config.seed, self.cache.shard)
            part = {"seed": own, "steps": self.steps[phase]}
        return WorldModelDataLoader(
            self.datasets[phase],
            masking=config.masking(epoch),
            tokens=self._tokens(phase),
            chunk=self.model.config.chunk,
            workers=ranks.loader_workers(),
            pin_memory=ranks.device.type == "cuda",
            **part,
        )

    def _tokens(self, phase: Phase) -> int:
        """Trips + items of a step of all ranks."""
        return max(1, int(self.config.tokens * phase.batch))

    def gradients(self, batch: TimelineBatch) -> dict[str, Tensor]:
        """Replace the gradients by those of a batch's loss, with the weights of this epoch's phase.

        Returns the parts of the loss as `WorldModelLoss` does: `<part>`, this rank's sum over the
        targets of all ranks, and `<part>_count`, the number of targets of all ranks. Every rank
        must call it.
        """
        batch = batch.to(self.ranks.device)
        phase, _ = self.config.phase(self.epoch)
        with self.precision.for_model():
            predictions = self._replica(batch, dense=False)
        with self.precision.for_loss():
            total, parts = self.losses[phase](predictions, targets(batch, self.config.trip_power))
        total = total + _touch(predictions)
        self.optimiser.zero_grad()
        total.backward()
        return parts

    def step(self, batch: TimelineBatch) -> dict[str, Tensor]:
        """One update of the weights, and of their average, from a batch of this epoch.

        Returns what `gradients` does. The learning rate is that of the optimiser's parameter
        groups, which `fit` sets before every step. Every rank must call it.
        """
        parts = self.gradients(batch)
        phase, _ = self.config.phase(self.epoch)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), phase.clip)
        self.optimiser.step()
        self.averaged.update()
        return parts

    def _summed(self, parts: dict[str, Tensor]) -> Tensor:
        """Sums over this rank's targets of all parts, and their counts, (2 x parts,)."""
        zero = torch.zeros((), device=self.ranks.device)
        counts = [parts.get(f"{part}_count", zero).double() for part in PARTS]
        # A part is divided by the count of all ranks. That count is shared out among the ranks, so
        # that it is right again when the sums of all ranks are added up.
        values = [
            parts.get(part, zero).double() * count
            for part, count in zip(PARTS, counts, strict=True)
        ]
        shared = [count / self.ranks.count for count in counts]
        return torch.stack(values + shared)

    def _nothing(self) -> Tensor:
        """Sums and counts of no batches, on the device: reading them there would have it wait."""
        return torch.zeros(2 * len(PARTS), dtype=torch.float64, device=self.ranks.device)

    def _loss(self) -> float:
        """Mean loss on items so far in this epoch."""
        return float(self._sums[0] / self._sums[len(PARTS)].clamp_min(1))

    def _best(self) -> int:
        """Index of the epoch with the highest score; of equals the first."""
        return max(range(len(self.curves)), key=lambda i: (self.curves[i]["score"], -i))

    def _next_epoch(self) -> int:
        """The epoch after the newest finished one; that in which the next phase begins where this
        phase's last `patience` epochs brought no better score, as the first rank says.

        The epochs in between are left out, and others stay as they are. It follows from the curves
        alone, so that a resumed run decides as an uninterrupted one.
        """
        if not self.curves:
            return 0
        epoch = self.curves[-1]["epoch"] - 1
        phase, number = self.config.phase(epoch)
        without_gain = 0
        if self.ranks.is_first:
            without_gain = min(number + 1, len(self.curves) - 1 - self._best())
        if self.ranks.agree(without_gain >= self.config.patience):
            return epoch - number + phase.epochs
        return epoch + 1

    def _is_due(self) -> bool:
        """Whether it is time to save."""
        waited = time.monotonic() - self._saved
        return self.ranks.agree(waited >= self.config.checkpoint_seconds)

    def _save(self, epoch: int, batch: int) -> None:
        """Write `last`: what every rank has done so far."""
        self._saved = time.monotonic()
        sums = self.ranks.sum(self._sums)
        if batch:
            self._check_finite(sums, epoch)
        if self.ranks.is_first:
            local, self._sums = self._sums, sums
            self._checkpoint(LAST, epoch, batch)
            self._sums = local
        self.ranks.wait()

    def _check_finite(self, sums: Tensor, epoch: int) -> None:
        """Raise NotFiniteError where training cannot go on; all ranks hold the same numbers.

        Called where something is saved, not at every step: reading a number waits for the device.
        """
        state = {"the loss": sums} | self.model.state_dict()
        state |= state_of(self.optimiser, self.model)
        if name := not_finite(state):
            raise NotFiniteError(
                f"training diverged in epoch {epoch + 1}: {name} is not a finite number, and is "
                f"not saved in {self.folder}; try a lower --learning-rate, with --fresh or into "
                "another --out"
            )

    def _checkpoint(self, name: str, epoch: int, batch: int) -> None:
        progress = {
            "training": self.config.to_dict(),
            "epoch": epoch,
            "batch": batch,
            "curves": self.curves,
            "shards": self.cache.shards,
        }
        training = None
        if name == LAST:
            training = state_of(self.optimiser, self.model) | {"sums": self._sums}
        with self.averaged.in_model() as of_last_step:
            if training is not None:
                training |= of_last_step
            save_checkpoint(self.folder / name, self.model, self.cache, progress, training)


def _first_week(cache: TensorCache, phase: Phase) -> int:
    """The first training week with target trips of the phase."""
    first, last = cache.split["train"]
    return last + 1 - math.ceil(phase.recent * (last + 1 - first))


def _touch(predictions: Predictions) -> Tensor:
    """0, computed from every output, so that parts that are switched off get gradients of 0.

    Without any gradient, DistributedDataParallel would wait for one, and weight decay would apply
    with several ranks but not with one.
    """
    parts = [predictions.embeddings, predictions.visits, *predictions.context.values()]
    return sum(part.sum() for part in parts) * 0
