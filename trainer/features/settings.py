"""Everything that decides what features mean, in one tree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from trainer.features.as_of import AsOfSettings
from trainer.features.chain_sales import ChainSalesSettings
from trainer.features.purchase_history import HistorySettings
from trainer.features.shelf_prices import ShelfPriceSettings


@dataclass(frozen=True)
class FeatureSettings:
    """A checkpoint keeps these: under other settings its weights would mean something else."""

    history: HistorySettings = field(default_factory=HistorySettings)
    """Counts of earlier purchases."""
    as_of: AsOfSettings = field(default_factory=AsOfSettings)
    """A customer as of a week."""
    chain_sales: ChainSalesSettings = field(default_factory=ChainSalesSettings)
    """What the chain sold lately."""
    shelf_prices: ShelfPriceSettings = field(default_factory=ShelfPriceSettings)
    """Prices at a store in a week."""

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            part: {name: list(v) if isinstance(v, tuple) else v for name, v in values.items()}
            for part, values in asdict(self).items()
        }

    def difference(self, saved: Mapping[str, Any]) -> str | None:
        """The first setting, as `part.name`, that differs in what `to_dict` once wrote; None where
        all agree."""
        here = self.to_dict()
        for part in fields(self):
            mine, theirs = here[part.name], saved.get(part.name) or {}
            for name in mine.keys() | theirs.keys():
                if mine.get(name) != theirs.get(name):
                    return f"{part.name}.{name}"
        return None
