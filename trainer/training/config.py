"""What a training run does: phases, rates, presets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, TypeVar

from trainer.batches.loaders import Masking
from trainer.commands.errors import InputError
from trainer.training.losses import LossWeights

Config = TypeVar("Config")

FOCAL_ONLY = LossWeights(focal=1.0, contrastive=0, size=0, sensitivity=0, mission=0, visit=0)


@dataclass(frozen=True)
class Phase:
    """Consecutive epochs with the same losses, masking and batch size."""

    name: str
    """Name of the phase in progress bars and curves."""
    epochs: int
    """How many epochs it lasts at most, at least 1."""
    learning_rate: float
    """Learning rate at the beginning; it changes linearly to `final_rate` at the end."""
    final_rate: float
    """Learning rate at the end."""
    mask_rate: float = 0.15
    """Share of the items of a basket that the model has to predict."""
    losses: LossWeights = field(default_factory=LossWeights)
    """Weights of the parts of the loss."""
    recent: float = 1.0
    """Share of the training weeks whose trips are targets, counted back from the last one. Trips
    of earlier weeks are history only, so that with a small share every target has a long one."""
    batch: float = 1.0
    """Size of a batch as a share of `TrainingConfig.tokens`."""
    clip: float = 1.0
    """Largest norm of the gradient; a longer one is scaled down to it."""

    def __post_init__(self):
        for name, value in (
            ("epochs", self.epochs), ("batch", self.batch), ("clip", self.clip),
            ("learning_rate", self.learning_rate),
        ):  # fmt: skip
            if not value > 0:
                raise InputError(f"{self.name}: {name} must be positive, not {value}")
        if not 0 < self.recent <= 1:
            raise InputError(
                f"{self.name}: recent must be above 0 and at most 1, not {self.recent}"
            )


def three_phases(rate: float, epochs: tuple[int, int, int] = (3, 12, 5)) -> tuple[Phase, ...]:
    """Warm-up (items only), main (all losses) and fine-tuning, around one learning rate."""
    warm_up, main, fine_tune = epochs
    return (
        Phase("warm-up", warm_up, rate / 10, rate, losses=FOCAL_ONLY),
        Phase("main", main, rate, rate / 3),
        Phase("fine-tune", fine_tune, rate / 4, rate / 100, mask_rate=0.2, batch=0.5, clip=0.5),
    )


def two_phases(rate: float, epochs: tuple[int, int]) -> tuple[Phase, ...]:
    """The same losses in both: first on all training weeks, then on their later half, whose trips
    have about as much history as the trips of validation and test weeks. The contrastive loss is
    not among them: it brings neither baskets nor visits anything (docs/experiments.md)."""
    main, fine_tune = epochs
    losses = LossWeights(contrastive=0)
    return (
        Phase("main", main, rate, rate * 0.4, losses=losses),
        Phase("fine-tune", fine_tune, rate * 0.4, rate / 100, losses=losses, recent=0.5),
    )


@dataclass(frozen=True)
class TrainingConfig:
    """A training run: everything that its result depends on besides the cache."""

    model: str = "small"
    """A preset of `trainer.model.config.PRESETS`."""
    phases: tuple[Phase, ...] = field(default_factory=lambda: two_phases(1e-3, (5, 5)))
    """What happens one after the other, at least one phase."""
    tokens: int = 8192
    """Trips + items of a batch, over all ranks."""
    fully_hidden: float = 0.5
    """Share of baskets of which every item is hidden."""
    hide_context: float = 0.4
    """Share of trips whose kind is hidden."""
    min_keep_probability: float = 0.15
    """Smallest probability with which a product of the purchase history is scored in training; with
    1 all are scored (`HistorySampling`)."""
    negatives: int = 4096
    """About how many products are drawn for each batch's softmax, where the chain has more than
    twice as many (`CandidateSampling`)."""
    gamma: float = 2.0
    """Exponent of the focal loss; with 0 it is the cross-entropy."""
    trip_power: float = 0.5
    """How far large baskets are weighted down in the loss on items: with 1 every trip has the same
    weight, with 0 every item (`trip_weights`)."""
    weight_decay: float = 0.01
    """Weight decay of AdamW, on matrices only."""
    averaging: float = 0.995
    """Decay a step of the average of the weights that is validated and used; with 0 it is the
    weights themselves (`trainer.training.averaging`)."""
    patience: int = 2
    """Epochs without a better validation score after which a phase ends before its time: the next
    one begins, and after the last one training stops. Rates do not depend on it."""
    validation_customers: int = 400
    """Customers whose validation trips are scored after every epoch."""
    checkpoint_seconds: float = 120.0
    """Seconds between checkpoints within an epoch: about what a killed run has to do again."""
    seed: int = 0
    """Seed of weights, order of batches, masks and dropout."""
    precision: str = "auto"
    """Number format of large matrix products: one of `trainer.training.precision.PRECISIONS`."""

    def __post_init__(self):
        if not self.phases:
            raise InputError("phases: at least one is needed")
        for name in ("tokens", "negatives", "patience", "validation_customers"):
            if getattr(self, name) < 1:
                raise InputError(f"{name}: expected at least 1, not {getattr(self, name)}")
        if not 0 <= self.averaging < 1:
            raise InputError(f"averaging: expected from 0 to below 1, not {self.averaging}")

    @property
    def epochs(self) -> int:
        """Epochs of all phases."""
        return sum(phase.epochs for phase in self.phases)

    def phase(self, epoch: int) -> tuple[Phase, int]:
        """The phase of an epoch, from 0, and which epoch of the phase it is."""
        for phase in self.phases:
            if epoch < phase.epochs:
                return phase, epoch
            epoch -= phase.epochs
        raise ValueError(f"epoch {epoch + self.epochs} of {self.epochs}")

    def learning_rate(self, epoch: int, done: float) -> float:
        """The rate at a point of training: `done` (0..1) of an epoch, from 0."""
        phase, number = self.phase(epoch)
        share = (number + done) / phase.epochs
        return phase.learning_rate + share * (phase.final_rate - phase.learning_rate)

    def masking(self, epoch: int) -> Masking:
        """What the batches of an epoch hide."""
        phase, _ = self.phase(epoch)
        return Masking(
            phase.mask_rate,
            self.fully_hidden,
            self.hide_context,
            min_keep_probability=self.min_keep_probability,
            negatives=self.negatives,
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON values that `from_dict` reads."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrainingConfig:
        """The configuration that `to_dict` made these values of.

        Raises ValueError for unknown or missing fields and for values out of range.
        """
        try:
            phases = tuple(
                _from_fields(Phase, phase, losses=_from_fields(LossWeights, phase["losses"]))
                for phase in values["phases"]
            )
            return _from_fields(cls, values, phases=phases)
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError(f"not a training configuration: {error!r}") from None


def _from_fields(kind: type[Config], values: Mapping[str, Any], **replaced: Any) -> Config:
    """A dataclass from a value for each of its fields, no more and no fewer."""
    expected = {field.name for field in fields(kind)}
    problems = [
        f"{title} {', '.join(sorted(names))}"
        for title, names in (
            ("missing:", expected - set(values)), ("unknown:", set(values) - expected),
        )
        if names
    ]  # fmt: skip
    if problems:
        raise InputError(f"fields of {kind.__name__}: {'; '.join(problems)}")
    return kind(**{**values, **replaced})


SCHEDULES: dict[str, TrainingConfig] = {
    "tiny": TrainingConfig(
        model="tiny", phases=three_phases(2e-3, (1, 4, 1)), tokens=4096, validation_customers=200
    ),
    # As few epochs and validation trips as it takes to beat counting on the demo's chain.
    "demo": TrainingConfig(phases=two_phases(1e-3, (2, 1)), validation_customers=100),
    "small": TrainingConfig(),
    "base": TrainingConfig(model="base", phases=three_phases(5e-4), tokens=32768),
    # Constant low rates, small batches and no averaging: they under-train it.
    "original": TrainingConfig(
        model="base",
        phases=tuple(
            replace(phase, learning_rate=rate, final_rate=rate)
            for phase, rate in zip(three_phases(1e-5), (1e-5, 5e-5, 1e-5), strict=True)
        ),
        tokens=2048,  # about 256 trips
        averaging=0,
    ),
}
"""Configurations by the name that `trainer.fit --preset` takes."""
