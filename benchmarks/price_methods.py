"""Textbook ways to learn from receipts what prices do, beside our model.

All read the same cells of product, price zone and week up to the start: units, log price relative
to the usual, whether the product is on promotion (cheaper by 5 % or more than in one of the three
weeks before), and the mean log price of the other products of the finest category. Regressions
have effects of product x zone and of department x week, a slope of each product's own price, and
of each department one of the others' prices and one of promotions. Slopes of prices are drawn to
their mean as far as their errors go (`benchmarks.price_scenarios.shrunk`). Instruments are log unit
costs, of the week and the mean of the last 13.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import lightgbm
import numpy as np
import pandas as pd
import pyfixest
from doubleml import DoubleMLData, DoubleMLPLIV
from pyfixest.estimation import demean

from benchmarks.price_scenarios import shrunk
from simulator.prices.panel import Panel

PROMOTION, BACK = 0.05, 3
SLOW, LAGS = 13, (4, 13)
"""Weeks."""
FIRST_WEEK = 14
"""The first week that trees learn from: the ones before are its past."""
TREES = {
    "n_estimators": 300, "learning_rate": 0.05, "num_leaves": 31, "min_child_samples": 40,
    "subsample": 0.7, "subsample_freq": 1, "colsample_bytree": 0.7, "reg_lambda": 5.0,
    "n_jobs": 1, "deterministic": True, "verbose": -1, "random_state": 0,
}  # fmt: skip
FOLDS = 2
OF_THE_PAST = ["sold_4", "sold_13", "zone", "department", "category", "product", "week", "season"]
OF_PRICES = ["log_price", "beside", "promoted", "against_recent"]
RECENT = 8
"""Weeks before the start at which trees are asked what another price would do."""
LEAST_PRODUCTS = 10
"""Of a department with slopes of its own: those of two or three are prices of each other."""
FIXED = "place + department^week"


@dataclass(frozen=True)
class Answer:
    """How a method says that demand answers. P products."""

    own: np.ndarray
    """(P,) elasticities of units to the own price."""
    factors: np.ndarray
    """(S, P) units after over before in each scenario."""


class Cells:
    """Cells of a panel up to a week, and scenarios to answer.

    price: (P, Z, start) log prices of `simulator.prices.relative`. cost: (P, start) log unit costs.
    change: (S, P) log changes of prices.
    """

    def __init__(
        self, panel: Panel, price: np.ndarray, cost: np.ndarray, start: int, change: np.ndarray
    ) -> None:
        self.change, self.products = change, len(panel.token)
        _, self.category = np.unique(panel.category, return_inverse=True)
        _, self.department = np.unique(panel.department, return_inverse=True)
        units = panel.units[:, :, :start].astype(float)
        sold = units.sum(1) > 0
        weeks = np.arange(start)
        last = start - sold[:, ::-1].argmax(1)
        on_sale = (weeks >= sold.argmax(1)[:, None]) & (weeks < last[:, None])
        on_sale &= sold.any(1)[:, None]
        self._share = units.sum((1, 2))
        product, zone, week = np.nonzero(np.broadcast_to(on_sale[:, None], units.shape))
        at = product, zone, week
        recent = {lag: _mean_before(units, lag) for lag in LAGS}
        frame = {
            "product": product, "zone": zone, "week": week + 1, "season": week % 52,
            "place": product * units.shape[1] + zone, "units": units[at], "log_price": price[at],
            "promoted": (price < _highest_before(price) - PROMOTION)[at] * 1.0,
            "beside": self._beside(price)[at],
            "against_recent": (price - _mean_before(price, SLOW))[at],
            "department": self.department[product], "category": self.category[product],
            "cost": np.broadcast_to(cost[:, None], units.shape)[at],
            "slow_cost": np.broadcast_to(_mean_to(cost, SLOW)[:, None], units.shape)[at],
        }  # fmt: skip
        for lag, mean in recent.items():
            frame[f"sold_{lag}"] = np.log(mean[at] + 0.1)
        self.frame = pd.DataFrame(frame)
        some = self.frame[self.frame.units > 0].copy()
        some["log_units"] = np.log(some.units)
        self.sold = some

    def _beside(self, price: np.ndarray) -> np.ndarray:
        """The mean log price of the other products of the category, by their sales."""
        count = int(self.category.max()) + 1
        weight = self._share.reshape(-1, *[1] * (price.ndim - 1))
        total, all_weight = np.zeros((count, *price.shape[1:])), np.zeros(count)
        np.add.at(total, self.category, weight * price)
        np.add.at(all_weight, self.category, self._share)
        rest = (all_weight[self.category] - self._share).reshape(weight.shape)
        return np.where(
            rest > 0, (total[self.category] - weight * price) / np.maximum(rest, 1e-9), 0.0
        )

    def answer(self, own: np.ndarray, beside: np.ndarray | float = 0.0) -> Answer:
        """Constant elasticities (P,) to the own price and to the mean price of the category's
        others."""
        others = np.stack([self._beside(change) for change in self.change])
        return Answer(own, np.exp(own * self.change + beside * others))

    # --- regressions

    def log_log(self) -> Answer:
        """Least squares of log units, of cells with any."""
        return self.answer(*self._least_squares)

    def poisson(self) -> Answer:
        """Poisson regression of units (Santos Silva and Tenreyro, The log of gravity, 2006)."""
        return self.answer(*self._slopes("fepois", self.frame, "units"))

    def instrumented(self) -> Answer:
        """Least squares, moved by as much as two-stage least squares move the pooled elasticity."""
        own, beside = self._least_squares
        return self.answer(own + self._instrumented[0] - self._pooled, beside)

    def control_function(self) -> Answer:
        """Poisson regression that also has what costs do not explain of the price, with one
        coefficient (Wooldridge, Control function methods in applied econometrics, 2015)."""
        stage = pyfixest.feols(
            f"log_price ~ cost + slow_cost + promoted + beside | {FIXED}", self.frame
        )
        frame = self.frame.assign(left=stage.resid())
        return self.answer(*self._slopes("fepois", frame, "units", "left"))

    @cached_property
    def _least_squares(self) -> tuple[np.ndarray, np.ndarray]:
        return self._slopes("feols", self.sold, "log_units")

    @cached_property
    def _pooled(self) -> float:
        fit = pyfixest.feols(f"log_units ~ log_price + beside + promoted | {FIXED}", self.sold)
        return float(fit.coef()["log_price"])

    @cached_property
    def _instrumented(self) -> tuple[float, float, float]:
        """The pooled elasticity, its standard error and the first stage's F."""
        fit = pyfixest.feols(
            f"log_units ~ beside + promoted | {FIXED} | log_price ~ cost + slow_cost",
            self.sold, vcov={"CRV1": "product"},
        )  # fmt: skip
        fit.IV_Diag()
        value, error = (float(x["log_price"]) for x in (fit.coef(), fit.se()))
        return value, error, float(fit._f_stat_1st_stage)

    def instrument(self) -> dict[str, float]:
        """How strong the instrument is, and what it makes of the pooled elasticity."""
        value, error, f = self._instrumented
        return {
            "pooled": self._pooled, "instrumented": value, "standard_error": error,
            "first_stage_f": f,
        }  # fmt: skip

    def _slopes(
        self, kind: str, frame: pd.DataFrame, units: str, more: str = ""
    ) -> tuple[np.ndarray, np.ndarray]:
        """(P,) elasticities to the own price and (P,) to the others', of the department."""
        own, beside = (
            np.full((2, size), np.nan) for size in (self.products, self.department.max() + 1)
        )
        fit = getattr(pyfixest, kind)
        for department in np.unique(frame.department):
            rows = frame[frame.department == department]
            if rows["product"].nunique() < LEAST_PRODUCTS:
                continue
            formula = f"{units} ~ i(product, log_price) + beside + promoted"
            formula += f" + {more}" if more else ""
            found = fit(f"{formula} | place + week", rows, vcov={"CRV1": "place"}).tidy()
            found = found[["Estimate", "Std. Error"]]
            of_product = found[found.index.str.startswith("product")]
            code = of_product.index.str.extract(r"(\d+)")[0].to_numpy().astype(int)
            own[:, code] = of_product.to_numpy().T
            if "beside" in found.index:
                beside[:, department] = found.loc["beside"]
        return shrunk(*own), shrunk(*beside)[self.department]

    # --- trees

    def double_learning(self, with_instrument: bool) -> Answer:
        """Double machine learning of a partially linear model (Chernozhukov et al., Double/debiased
        machine learning, 2018): slopes of log units on the log price. Of both, effects of place and
        of department x week are taken out first, then what LightGBM makes of season, place, past
        sales, promotions and the others' prices. With the instrument, moved by as much as it moves
        the pooled slope."""
        u, v, instrumented = self._residuals
        product = self.sold["product"].to_numpy()
        top, bottom = (np.bincount(product, x, self.products) for x in (u * v, v * v))
        value = top / np.maximum(bottom, 1e-9)
        off = (u - value[product] * v) * v
        error = np.sqrt(np.bincount(product, off**2, self.products)) / np.maximum(bottom, 1e-9)
        own = shrunk(np.where(bottom > 1e-6, value, np.nan), error)
        pooled = (u * v).sum() / (v * v).sum()
        return self.answer(own + (instrumented - pooled if with_instrument else 0.0))

    @cached_property
    def _residuals(self) -> tuple[np.ndarray, np.ndarray, float]:
        """Residuals of log units and of the log price, (n,), and the instrumented slope."""
        names = ["log_units", "log_price", "slow_cost", "promoted", "beside"]
        pair = self.sold.department * (self.sold.week.max() + 1) + self.sold.week
        effects = [np.unique(x, return_inverse=True)[1] for x in (self.sold.place, pair)]
        within, _ = demean(
            self.sold[names].to_numpy(float), np.column_stack(effects).astype(np.uint64),
            np.ones(len(self.sold)),
        )  # fmt: skip
        explain = ["season", "zone", "department", "sold_4", "sold_13"]
        table = pd.DataFrame(within, columns=names).assign(
            **{name: self.sold[name].to_numpy(float) for name in explain}
        )
        data = DoubleMLData(table, y_col="log_units", d_cols="log_price", z_cols="slow_cost")
        np.random.seed(0)  # DoubleML draws its folds from numpy's global generator
        trees = [lightgbm.LGBMRegressor(**(TREES | {"n_estimators": 100})) for _ in range(3)]
        fit = DoubleMLPLIV(data, *trees, n_folds=FOLDS).fit(store_predictions=True)
        guess = {name: fit.predictions[name].ravel() for name in ("ml_l", "ml_r")}
        u, v = table.log_units - guess["ml_l"], table.log_price - guess["ml_r"]
        return u.to_numpy(), v.to_numpy(), float(fit.coef[0])

    def boosting(self) -> Answer:
        """LightGBM on time, place, past sales and prices, asked about other prices in the last
        weeks before the start."""
        rows = self.frame[self.frame.week >= FIRST_WEEK]
        columns = OF_THE_PAST + OF_PRICES
        trees = lightgbm.LGBMRegressor(objective="poisson", **TREES).fit(
            rows[columns], rows.units, categorical_feature=["zone", "department"]
        )
        last = self.frame[self.frame.week > self.frame.week.max() - RECENT]
        product = last["product"].to_numpy()

        def units(own: np.ndarray, others: np.ndarray) -> np.ndarray:
            moved = last[columns].assign(
                log_price=last.log_price + own[product],
                against_recent=last.against_recent + own[product],
                beside=last.beside + others[product],
            )
            return np.bincount(product, trees.predict(moved), self.products)

        none = np.zeros(self.products)
        before = np.maximum(units(none, none), 1e-9)
        factors = [units(c, self._beside(c)) / before for c in self.change]
        up, down = (units(none + step, none) for step in (0.1, -0.1))
        own = np.log(np.maximum(up, 1e-9) / np.maximum(down, 1e-9)) / 0.2
        return Answer(own, np.where(before > 1e-9, np.stack(factors), 1.0))


def _mean_before(x: np.ndarray, weeks: int) -> np.ndarray:
    """Means over the last so many weeks before each; of the first week, itself."""
    total = np.concatenate([np.zeros((*x.shape[:-1], 1)), x.cumsum(-1)], axis=-1)
    week = np.arange(x.shape[-1])
    first = np.maximum(week - weeks, 0)
    mean = (total[..., week] - total[..., first]) / np.maximum(week - first, 1)
    mean[..., 0] = x[..., 0]
    return mean


def _mean_to(x: np.ndarray, weeks: int) -> np.ndarray:
    """Means over the last so many weeks up to each, and with it."""
    total = np.concatenate([np.zeros((*x.shape[:-1], 1)), x.cumsum(-1)], axis=-1)
    week = np.arange(x.shape[-1])
    first = np.maximum(week - weeks + 1, 0)
    return (total[..., week + 1] - total[..., first]) / (week - first + 1)


def _highest_before(x: np.ndarray) -> np.ndarray:
    """The highest of the `BACK` weeks before each; of the first week, itself."""
    week = np.arange(x.shape[-1])
    return np.max([x[..., np.maximum(week - back, 0)] for back in range(1, BACK + 1)], axis=0)
