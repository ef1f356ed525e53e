"""All settings that change the meaning of features, in one tree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from trainer.cache.reader import CacheError, TensorCache
from trainer.features.as_of import AsOfSettings
from trainer.features.chain_sales import ChainSalesSettings
from trainer.features.shelf_prices import ShelfPriceSettings


@dataclass(frozen=True)
class FeatureSettings:
    """Kept in checkpoints: a model's weights are valid for one value of these settings only.

    Those of `as_of` and `shelf_prices` are vars of the warehouse; the others are the trainer's own.
    """

    as_of: AsOfSettings = field(default_factory=AsOfSettings)
    """A customer as of a week."""
    chain_sales: ChainSalesSettings = field(default_factory=ChainSalesSettings)
    """Recent sales of the chain."""
    shelf_prices: ShelfPriceSettings = field(default_factory=ShelfPriceSettings)
    """Prices at a store in a week."""

    @classmethod
    def of(cls, cache: TensorCache) -> FeatureSettings:
        """Those of a cache: what the warehouse decided stands in its manifest. Raises CacheError
        where it does not."""
        values = cache.manifest["settings"]

        def read(part: type) -> Any:
            return part(**{f.name: values[f.name] for f in fields(part)})

        try:
            return cls(as_of=read(AsOfSettings), shelf_prices=read(ShelfPriceSettings))
        except (KeyError, TypeError) as error:
            raise CacheError(
                f"{cache.folder} lacks a setting of the features ({error}), as those of earlier "
                "versions do: export the cache again, and train again where it is a checkpoint's"
            ) from None

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            part: {name: list(v) if isinstance(v, tuple) else v for name, v in values.items()}
            for part, values in asdict(self).items()
        }

    def difference(self, saved: Mapping[str, Any]) -> str | None:
        """The first setting, as `part.name`, that differs from a saved `to_dict`, or the part if
        only one of the two has it; None if none."""
        parts = self.to_dict()
        for part in sorted(parts.keys() | saved.keys()):
            values, others = parts.get(part), saved.get(part)
            if not isinstance(values, Mapping) or not isinstance(others, Mapping):
                return part
            for name in values.keys() | others.keys():
                if values.get(name) != others.get(name):
                    return f"{part}.{name}"
        return None
