"""What a training run does: phases, rates, presets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from trainer.batches.loaders import Masking
from trainer.training.losses import LossWeights

FOCAL_ONLY = LossWeights(focal=1.0, contrastive=0, size=0, sensitivity=0, mission=0)


@dataclass(frozen=True)
class Phase:
    """Some epochs under the same rules."""

    name: str
    epochs: int
    learning_rate: float
    """At the phase's beginning; it moves in a straight line to `final_rate` at its end."""
    final_rate: float
    mask_rate: float = 0.15
    """Share of items that are asked."""
    losses: LossWeights = field(default_factory=LossWeights)
    recent: float = 1.0
    """Share of the training weeks, the last ones, whose trips are asked about. Earlier trips are
    history then: what is asked about later has a long one."""
    batch: float = 1.0
    """Share of the token budget."""
    clip: float = 1.0
    """Largest norm of the gradient."""

    def __post_init__(self):
        for name, value in (
            ("epochs", self.epochs), ("batch", self.batch), ("clip", self.clip),
            ("learning_rate", self.learning_rate),
        ):  # fmt: skip
            if not value > 0:
                raise ValueError(f"{self.name}: {name} must be positive, not {value}")
        if not 0 < self.recent <= 1:
            raise ValueError(
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
    """All losses throughout: all training weeks first, then their later half, whose trips have
    histories as long as those of the trips to come."""
    main, fine_tune = epochs
    return (
        Phase("main", main, rate, rate * 0.4),
        Phase("fine-tune", fine_tune, rate * 0.4, rate / 100, recent=0.5),
    )


@dataclass(frozen=True)
class TrainingConfig:
    """A run: the model's preset and everything that decides what comes out of it."""

    model: str = "small"
    """A preset of `trainer.model.config.PRESETS`."""
    phases: tuple[Phase, ...] = field(default_factory=lambda: two_phases(1e-3, (5, 5)))
    tokens: int = 8192
    """Trips + items of a batch, over all ranks."""
    fully_hidden: float = 0.5
    """Share of baskets that are hidden wholly."""
    hide_context: float = 0.4
    """Share of trips whose kind is hidden."""
    min_keep_probability: float = 0.15
    """Smallest probability of an own product to be scored in training; with 1 all are."""
    gamma: float = 2.0
    """Focal loss: 0 is the cross-entropy."""
    trip_power: float = 0.5
    """1: every trip counts the same in the loss on items, 0: every item."""
    weight_decay: float = 0.01
    patience: int = 6
    """Epochs without a better validation score after which training stops."""
    validation_customers: int = 400
    """Customers whose validation trips are scored after every epoch."""
    checkpoint_seconds: float = 120.0
    """Seconds after which the state is saved, so that a kill costs little more than these."""
    seed: int = 0
    precision: str = "auto"
    """Of the large products of matrices: one of `trainer.training.precision.PRECISIONS`."""

    def __post_init__(self):
        if not self.phases:
            raise ValueError("phases: at least one is needed")
        for name in ("tokens", "patience", "validation_customers"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected at least 1, not {getattr(self, name)}")

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
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON values that `from_dict` reads."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrainingConfig:
        """Raises TypeError or ValueError for values that are no configuration."""
        phases = tuple(
            Phase(**{**phase, "losses": LossWeights(**phase["losses"])})
            for phase in values["phases"]
        )
        return cls(**{**values, "phases": phases})


SCHEDULES: dict[str, TrainingConfig] = {
    "tiny": TrainingConfig(
        model="tiny", phases=three_phases(2e-3, (1, 4, 1)), tokens=4096, validation_customers=200
    ),
    # As few epochs and validation trips as it takes to beat counting on the demo's chain.
    "demo": TrainingConfig(phases=two_phases(1e-3, (2, 1)), validation_customers=100),
    "small": TrainingConfig(),
    "base": TrainingConfig(model="base", phases=three_phases(5e-4), tokens=32768),
    # The rates of the system that this one follows; they under-train it.
    "original": TrainingConfig(
        model="base",
        phases=tuple(
            replace(phase, learning_rate=rate, final_rate=rate)
            for phase, rate in zip(three_phases(1e-5), (1e-5, 5e-5, 1e-5), strict=True)
        ),
        tokens=2048,  # about 256 trips
    ),
}
"""Configurations by the name that `trainer.fit --preset` takes."""
