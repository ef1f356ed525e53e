"""Roll a population forward, week after week."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
from tqdm import tqdm

from simulator.baskets import Swap
from simulator.checkout import BasketLaws, Checkout, Trip, receipts
from simulator.coupon_answers import Habits, with_answers
from simulator.coupon_hands import Hands
from simulator.draws import uniforms
from simulator.hazards import Hazards
from simulator.outlook import WINDOW
from simulator.planned_prices import PlannedPrices, PriceChange
from simulator.price_effects import PriceEffects
from simulator.prices.demand_response import DemandResponse, fit_demand_response
from simulator.receipts import Receipts
from simulator.scenario import AS_IT_IS, Scenario
from simulator.stores import NewStores
from simulator.strangers import Strangers
from simulator.substitution import Substitution
from simulator.visit_calibration import VisitCalibration
from simulator.visits import plan_visits
from trainer.cache.reader import TensorCache
from trainer.commands.errors import InputError
from trainer.features.calendar import EPOCH
from trainer.features.chain import Chain
from trainer.features.chain_sales import ChainSales, chain_sales_after
from trainer.features.price_evidence import price_evidence
from trainer.features.shelf_prices import ShelfPrices
from trainer.model.state import CustomerState, recorded_states
from trainer.model.world_model import WorldModel

BLOCK = 1024
"""Customers who are simulated together. Fixed, so that sums are rounded alike and the same receipts
come of the same customers."""
COMES = 1
"""What a number is drawn for, as are those of `simulator.checkout`."""
SLOW = 3
"""Seconds after which a progress bar appears."""
ANONYMOUS = -1
"""The customer of an anonymous trip; those who are new since the start are -2 and less."""


def check_start(cache: TensorCache, start: int) -> None:
    """Raise InputError where a history cannot end with this week: models have learnt from the
    training weeks, and the cache has no later ones than its last."""
    trained, weeks = cache.split["train"][1], cache.rows("weeks")
    if not trained <= start <= weeks:
        raise InputError(
            f"start {start}: expected a week from {trained}, the last training week, to {weeks}, "
            f"the last of {cache.folder}"
        )


class Simulator:
    """A population of customers as of the end of a week, and the laws by which they go on.

    Nothing later than that week is read of the cache: neither trips nor prices.

    Args:
        model: trained on weeks up to the start.
        cache: the receipts.
        start: the last week of the history.
        customers: rows of the cache's customers; all those with a trip up to the start if left out.
        instrument: (products of the cache, start) pence that suppliers charged, which tell whether
            prices followed demand (`simulator.costs.read_weekly_costs`).

    Raises InputError for a start within the weeks that the model was trained on, and for customers
    without a trip.
    """

    def __init__(
        self, model: WorldModel, cache: TensorCache, start: int,
        customers: np.ndarray | None = None, instrument: np.ndarray | None = None,
    ) -> None:  # fmt: skip
        check_start(cache, start)
        self._instrument = instrument
        self.model, self.cache, self.start = model, cache, start
        first = cache["customers.trip_offsets"].astype(np.int64)
        known = np.append(cache["trips.week"] <= start, False)
        has_history = np.logical_or.reduceat(known, first[:-1]) & (np.diff(first) > 0)
        self.customers = np.flatnonzero(has_history) if customers is None else np.asarray(customers)
        if not len(self.customers) or not has_history[self.customers].all():
            raise InputError(f"customers: expected some with a trip up to week {start}")
        self._sales = chain_sales_after(cache, start).to_arrays()
        self._prices = ShelfPrices.from_cache(cache, last_week=start)
        self._prices.forget_before(start + 1)
        chain = Chain(cache, ChainSales.from_arrays(self._sales), self._prices)
        self._chain = chain
        self._states = recorded_states(chain, cache, self.customers, start)
        self._laws = BasketLaws.of(model, cache, start)
        self._new_stores, self._strangers = NewStores(cache, start), Strangers(cache, start)
        self._hazards = Hazards(model, VisitCalibration(model, cache, start))
        first = chain.calendar.first_day(start + 1)
        bar = tqdm(_blocks(len(self.customers)), desc="customers", unit="block", delay=SLOW)
        for rows in bar:
            states = [self._states[row] for row in rows]
            self._hazards.begin(rows, states, np.full(len(rows), first))

    @cached_property
    def _response(self) -> DemandResponse | None:
        return fit_demand_response(self.cache, self.start, self._instrument)

    @cached_property
    def demand(self) -> DemandResponse | None:
        """How demand answers to prices, measured up to the start when it is first asked for; None
        where prices never moved, which says nothing about it."""
        return self._response if price_evidence(self.cache).can_tell else None

    @cached_property
    def substitution(self) -> Substitution:
        """What customers do about products that go and come, measured likewise."""
        return Substitution(self.cache, self._response)

    def effects(self, prices: Sequence[PriceChange]) -> PriceEffects | None:
        """Of planned prices on demand; None where nobody knows them."""
        if self.demand is None:
            return None
        asked = self._prices, PlannedPrices(self._prices, prices)
        return PriceEffects(self.demand, asked, self.start)

    @cached_property
    def habits(self) -> Habits:
        """What customers bought, and what coupons make of it at the prices of the start."""
        visited = np.bincount(self.cache["trips.store"][self.cache["trips.week"] <= self.start])
        return Habits(self.cache, self.effects(()), self.start, int(visited.argmax()))

    def settled(self, scenario: Scenario) -> Scenario:
        """The scenario with the answers to its coupons. Raises what `with_answers` raises."""
        if all(each.answer for each in scenario.coupons):
            return scenario
        coupons = with_answers(scenario.coupons, self.habits, self.customers, scenario.trial)
        return replace(scenario, coupons=coupons)

    def segments(self, codes: np.ndarray) -> np.ndarray:
        """(n,) price-sensitivity labels of customers of a simulation (n,), 0 of those that the
        cache does not have."""
        own = self.cache["customers.price_sensitivity"][np.maximum(codes, 0)]
        return np.where(codes >= 0, own, 0).astype(np.int64)

    def run(
        self, weeks: int, seed: int, scenario: Scenario = AS_IT_IS,
        anonymous: bool = True, on_week: Callable[[], None] = lambda: None,
    ) -> Receipts:  # fmt: skip
        """The receipts of the weeks after the start.

        The same seed gives the same receipts; two scenarios with the same seed draw alike wherever
        they ask alike (`simulator.draws`). anonymous: whether anonymous trips are wanted, which
        change nothing for others. on_week is called after each week. Raises what `settled` raises.
        """
        run = _Run(self, seed, self.settled(scenario), anonymous)
        found: list[Trip] = []
        for week in range(self.start + 1, self.start + 1 + weeks):
            found += run.week(week)
            on_week()
        return receipts(found)


class _Run:
    """The population on its way."""

    def __init__(
        self, simulator: Simulator, seed: int, scenario: Scenario, anonymous: bool
    ) -> None:
        self.anonymous = anonymous
        self.simulator, self.seed, self.scenario = simulator, seed, scenario
        self.new_stores, self.strangers = simulator._new_stores, simulator._strangers
        # A chain of this run, which all states share: its sales move on, its prices are planned.
        self.chain = simulator._chain
        self.chain.sales = ChainSales.from_arrays(simulator._sales)
        self.chain.prices = scenario.planned(simulator._prices)
        self.effects = simulator.effects(scenario.prices) if scenario.prices else None
        hands = None
        if scenario.coupons:
            hands = Hands(
                scenario.coupons, self.effects or simulator.effects(()),
                simulator.cache["customers.price_sensitivity"].astype(np.int64),
                simulator.cache.vocabulary.size, seed,
            )  # fmt: skip
        self.checkout = Checkout(
            simulator.model, simulator._laws, self.chain.prices, self.effects, hands,
            simulator.segments, seed,
        )  # fmt: skip
        self.states = [state.copy() for state in simulator._states]
        self.hazards = simulator._hazards.copy()
        self.code = simulator.customers.astype(np.int64)

    def week(self, week: int) -> list[Trip]:
        self.chain.sales.advance_to(week)
        into = 7 * (week - self.simulator.start - 1)
        if into and into % WINDOW == 0:
            self._begin_window(week)
        self.scenario.launch(self.chain, week)
        on_sale = self.scenario.on_sale(self.chain, week)
        self.comes_by = np.ones(len(self.code))
        if self.effects is not None:
            self.comes_by = self.effects.visit_factors(self.code, week)
        is_open = self.scenario.open_stores(len(self.new_stores.trips), week)
        missing = self.scenario.missing(self.chain, week)
        new = self.scenario.new(self.chain, week)
        self.swap = None
        if missing.any() or new.any():
            substitution = self.simulator.substitution
            self.swap = Swap(missing, lambda p: substitution.moved(p, on_sale, missing, new))
        found: list[Trip] = []
        if on_sale.any() and is_open.any():
            for rows in _blocks(len(self.states)):
                found += self._customers(rows, week, on_sale)
            found += self._strangers(week, found, on_sale)
        # Who would have bought what is missing still would: its sales go on as they were.
        sales = self.chain.sales
        sold = np.where(missing, (1 - sales.settings.decay) * sales.recent, 0)
        for each in found:
            if each.customer != ANONYMOUS:  # as in the cache, which does not know them
                sold[each.trip.tokens] += 1
        self.chain.sales.close_week(sold)
        return found

    def _begin_window(self, week: int) -> None:
        """What customers did so far is as good as recorded from now on."""
        first = self.chain.calendar.first_day(week)
        for rows in _blocks(len(self.states)):
            states = [self.states[row].copy() for row in rows]
            self.hazards.begin(rows, states, np.full(len(rows), first))

    def _customers(self, block: np.ndarray, week: int, on_sale: np.ndarray) -> list[Trip]:
        """The trips of a block of customers, first all first ones, then all second ones."""
        first = self.chain.calendar.first_day(week)
        day, nth = np.full(len(self.states), first), np.zeros(len(self.states), np.int64)
        found, who = [], block
        while len(who):
            who = self._who_comes(who, day, nth, week)
            if len(who):
                found += self._trips(who, day[who], nth[who], week, on_sale)
                nth[who] += 1
        return found

    def _who_comes(
        self, who: np.ndarray, day: np.ndarray, nth: np.ndarray, week: int
    ) -> np.ndarray:
        """Those of customers (n,) who come before the week is over. Each looks at one day after the
        other from their own on, until one on which they come; day and nth are moved there."""
        stop = self.chain.calendar.first_day(week + 1)
        looking, comes, closed = who, [], list(self.scenario.closed_days)
        while len(looking):
            looking = looking[day[looking] < stop]
            u = uniforms(self.seed, COMES, self.code[looking], day[looking], nth[looking])
            hit = u < self.hazards.on(looking, day[looking], week) * self.comes_by[looking]
            hit &= ~np.isin(day[looking], closed)
            comes.append(looking[hit])
            looking = looking[~hit]
            day[looking] += 1
            nth[looking] = 0
        return np.sort(np.concatenate([np.empty(0, np.int64), *comes]))

    def _trips(
        self, who: np.ndarray, days: np.ndarray, nth: np.ndarray, week: int, on_sale: np.ndarray
    ) -> list[Trip]:
        own, keys = [self.states[row] for row in who], (self.code[who], days, nth)
        new_stores = self.new_stores
        is_open = self.scenario.open_stores(len(new_stores.trips), week)
        tried = self.scenario.store_trips(new_stores.trips, week)
        plans = plan_visits(
            self.simulator.model.next_visits(own), days, new_stores, is_open, tried, self.seed, keys
        )
        found = self.checkout.trips(own, plans, week, on_sale, self.swap, keys)
        for state, each in zip(own, found, strict=True):
            if each is not None:
                state.observe(each.trip)
        self.hazards.came(who, days)
        return [each for each in found if each is not None]

    def _strangers(self, week: int, known: list[Trip], on_sale: np.ndarray) -> list[Trip]:
        """Anonymous trips, and the first trips of new customers, who have a state from then on."""
        new = self.scenario.arrivals(week)
        if not known:
            return []
        codes = -2 - self._new_so_far() - np.arange(new)
        beside, number = (
            self.strangers.first_trips(len(known), self.seed, codes),
            np.zeros(new, int),
        )
        if self.anonymous:
            keys = tuple(np.array([each.key for each in known]).T)
            more, more_numbers = self.strangers.anonymous_trips(self.seed, keys)
            beside, number = np.append(beside, more), np.append(number, more_numbers)
            codes = np.append(codes, np.full(len(more), ANONYMOUS))
        if not len(beside):
            return []
        plans = [known[trip].trip.plan for trip in beside]
        states = [CustomerState(self.chain) for _ in plans]
        days = np.array([(plan.date - EPOCH).days for plan in plans])
        found = self.checkout.trips(states, plans, week, on_sale, self.swap, (codes, days, number))
        came = [row for row in range(new) if found[row] is not None]
        for row in came:
            states[row].observe(found[row].trip)
            self.states.append(states[row])
        self.code = np.append(self.code, codes[came])
        for rows in _blocks(len(came)):
            own = [states[came[row]].copy() for row in rows]
            place = len(self.states) - len(came) + rows
            self.hazards.begin(place, own, days[came][rows] + 1)
        return [each for each in found if each is not None]

    def _new_so_far(self) -> int:
        return len(self.states) - len(self.simulator.customers)


def _blocks(count: int) -> list[np.ndarray]:
    return [np.arange(start, min(start + BLOCK, count)) for start in range(0, count, BLOCK)]
