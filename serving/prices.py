"""Answers about prices, read from what `python -m simulator.prices` found on the served chain.

Measuring how demand answers takes minutes, and what is found changes with the receipts alone.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from serving.errors import ApiError
from trainer.cache.json_files import is_intact, read_json
from trainer.cache.reader import TensorCache
from trainer.commands.errors import InputError
from trainer.features.price_evidence import PriceEvidence

FILE, FORMAT = "prices.json", 2
"""What is read of the folder, and in which form."""
NEVER_MOVED, TOO_FEW, BY_WEIGHT = "price never moved", "too few sales", "sold by weight"
CAUTION = (
    "it is what the model that made the plan expects, and a search finds what a model overrates, "
    "so less will come"
)
PLANNED = ("unit_cost_pence", "new_price_pence", "new_units_a_week", "gain_pence")
ENDS = ("elasticity", "low", "high")
MEASURED = (
    "weeks_with_a_move", "standard_deviation_of_log_price", "price_pence", "units_a_week",
)  # fmt: skip


class Prices:
    """What is known of a chain's prices.

    Args:
        folder: one that the command wrote from this cache.
        cache: of the served chain. last_week: of it that is over.

    Raises InputError for a folder of another cache or format, a damaged one, and one that knows of
    later weeks.
    """

    def __init__(self, folder: Path, cache: TensorCache, last_week: int) -> None:
        content = _read(folder / FILE)
        if content.get("cache_digest") != cache.digest:
            raise InputError(
                f"--prices: {folder} was made from another cache than {cache.folder}: run "
                f"python -m simulator.prices --cache {cache.folder} again"
            )
        start = content.get("start")
        if isinstance(start, int) and start > last_week:
            raise InputError(
                f"--prices: {folder} knows of weeks up to {start}, and --until-week is "
                f"{last_week}: run python -m simulator.prices --start {last_week}"
            )
        try:
            self._take(content, cache)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise InputError(
                f"--prices: {folder / FILE} is not what python -m simulator.prices writes "
                f"({type(error).__name__}: {error})"
            ) from None

    def _take(self, content: dict[str, Any], cache: TensorCache) -> None:
        """Keep the content, and give every answer once, so that none fails later."""
        self._content, self._plan = content, content.get("plan")
        self._rows = {row["product"]: row for row in content["products"]}
        self._by_weight = {
            code.decode()
            for code in cache["products.code"][cache["products.is_random_weight"]].tolist()
        }
        changed = [
            row
            for row in content["products"]
            if self._plan and row["new_price_pence"] != row["price_pence"]
        ]
        self._changed = sorted(changed, key=lambda row: -row["gain_pence"])
        answers = [self.summary(), *map(self.of, self._rows)]
        if self._plan is not None:
            answers.append(self.changes(0, len(self._rows)))
        json.dumps(answers, allow_nan=False)

    def summary(self) -> dict[str, Any]:
        """How the chain's demand answers as a whole, and what a plan is expected to bring."""
        found, plan = self._content, self._plan
        names = ("start", "weeks", "evidence", "rest_on", "own", "visits", "least_trips")
        return {
            **{name: found[name] for name in names},
            "products": len(self._rows),
            "cross_identifiable": found["switches"],
            "substitutes": found["substitutes"],
            "plan": plan and {
                "changed": plan["changed"],
                "profit_pence": plan["profit_before"], "new_profit_pence": plan["profit_after"],
                "usual_gain": plan["usual_gain"],
                "units": plan["units_before"], "new_units": plan["units_after"],
                "rules": plan["rules"], "caution": CAUTION,
            },
        }  # fmt: skip

    def of(self, product: str) -> dict[str, Any]:
        """What is known of a product of the chain."""
        row = self._rows.get(product)
        if row is None:
            why = BY_WEIGHT if product in self._by_weight else TOO_FEW
            nothing = dict.fromkeys((*ENDS, *MEASURED))
            return {"product": product, **nothing, "rests_on": why, "rivals": [], "plan": None}
        is_known = row["rests_on"] != NEVER_MOVED
        return {
            "product": product,
            **{name: row[name] if is_known else None for name in ENDS},
            **{name: row[name] for name in ("rests_on", *MEASURED, "rivals")},
            "plan": {name: row[name] for name in PLANNED} if self._plan else None,
        }

    def changes(self, skip: int, limit: int) -> dict[str, Any]:
        """Prices that the plan changes, those that are expected to earn most first. Raises ApiError
        where there is no plan."""
        if self._plan is None:
            raise ApiError(
                404, "no_plan",
                "these prices were found without --costs, so that there is no plan: "
                "python -m simulator.prices --costs FILE makes one",
            )  # fmt: skip
        names = ("product", "price_pence", "units_a_week", *PLANNED)
        return {
            "changes": [
                {name: row[name] for name in names} for row in self._changed[skip : skip + limit]
            ],
            "more": len(self._changed) > skip + limit,
        }


def none_given(evidence: PriceEvidence) -> ApiError:
    """What is answered without a folder of prices."""
    why = (
        "no prices were given to this server: python -m simulator.prices finds them, and "
        "--prices FOLDER serves them"
        if evidence.can_tell
        else "prices hardly ever move in these receipts, so that nothing can be said of what "
        f"demand does when they do: {evidence.words()}"
    )
    return ApiError(404, "no_prices", why)


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(
            f"--prices: there is no {path}: expected a folder that python -m simulator.prices wrote"
        )
    try:
        content = read_json(path)
    except ValueError as error:
        raise InputError(f"--prices: {error}") from None
    if not is_intact(content):
        raise InputError(f"--prices: {path} is damaged: write it again")
    if content.get("format") != FORMAT:
        raise InputError(f"--prices: {path} is of another version: write it again")
    return content
