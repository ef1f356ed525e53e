"""The customer's next visit: on which day, in which store, at which hour, of which kind.

One thing after the other, each given those before it, from the encoder's output after a trip:

    day      does the customer come on this day, given that they have not come before it?
    store    one of their own, by when they were there, or a new one
    hour     of the day
    kind     size, price sensitivity, type, focus

The days have a discrete hazard each, so that a gap that has not ended counts as far as it is known
(Singer and Willett, It's about time: using discrete-time survival analysis, 1993). A store's score
is the sum of learned weights of the trips to it (pointer sum: Kadlec et al., Text understanding
with the attention sum reader network, 2016); hours and kinds of earlier trips are weighed alike.

Shape letters: those of `trainer.features.visits`, d width, h hidden channels.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainer.cache.schema import CONTEXT
from trainer.features.tensors import occurrences
from trainer.features.visits import NEW_STORE, TAIL, WHEN, DaysAfter, OwnTrips, Visits
from trainer.model.embeddings.time import HOURS, WEEKDAYS, closeness, hats

PARTS = ("day", "store", "hour", *CONTEXT)
"""What a visit is made of, in the order in which it is predicted."""
ALWAYS = "always"
"""A column of ones beside those of `WHEN`."""
STORE_HEADS: tuple[dict[str, float], ...] = tuple(
    {"trips back / 20": -decay} for decay in (0.2, 1, 4, 14)
)
"""Initial weights of earlier trips for the choice of a store, one dict per head."""
VISITED_HEADS: tuple[dict[str, float], ...] = (
    {"trips back / 20": -0.2, "same weekday": 1, "weekend": 1, "same store": 1},
    {"trips back / 20": -1},
)
"""Those for hour and kind, of which the store is known."""
RHYTHM = ("trips back / 20", "log trips back")
"""What the day reads of when an earlier trip was: the others of `WHEN` know the next day."""
RHYTHM_HEADS: tuple[dict[str, float], ...] = (
    {"trips back / 20": -0.2, ALWAYS: 3}, {"trips back / 20": -2, ALWAYS: 2},
)  # fmt: skip
"""Those for the days and gaps of earlier trips, of which the sigmoid is taken."""
FEW = 0.1
"""Added to sums of weights before their logarithm is taken."""
GAP_HATS, HATS_PER_DOUBLING = 14, 2
"""Knots of the curve in days since the trip, from 0 to 90."""
CHOSEN = 8
"""Channels of an hour or code that was chosen before."""
SMOOTHING = 0.01
"""Added to shares before their logarithm is taken."""


class VisitHead(nn.Module):
    """Probabilities of the next visit.

    Args:
        width: d, channels of the encoder's output.
        store: channels of the vector of a store.
        holidays: number of holiday labels, none not counted.
        codes: number of codes of each column of the kind of trip, unknown included.
        hidden: inner channels.
        dropout: of the encoder's output, in training.
    """

    def __init__(
        self, width: int, store: int, holidays: int, codes: Mapping[str, int], hidden: int,
        dropout: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.weekday = nn.Embedding(WEEKDAYS, hidden)
        self.holiday = nn.Embedding(holidays + 1, hidden)
        self.near = nn.Linear(2, hidden, bias=False)
        self.gap_curve = nn.Linear(GAP_HATS, hidden, bias=False)
        self.gap = nn.Embedding(TAIL + 1, hidden)
        self.of_day = nn.Linear(width, hidden)
        self.rhythm = OwnTripWeights(width, RHYTHM_HEADS, RHYTHM)
        self.of_rhythm = nn.Linear(3 * len(RHYTHM_HEADS), hidden, bias=False)
        self.hazard = nn.Linear(hidden, 1)
        context = width + hidden
        self.stores = OwnTripWeights(context, STORE_HEADS, WHEN)
        self.new_store = _network(context + 2, hidden, 1)
        heads = len(VISITED_HEADS)
        self.visited = OwnTripWeights(context, VISITED_HEADS, (*WHEN, "same store"))
        self.own_hours = nn.Linear(heads * HOURS, HOURS, bias=False)
        self.kinds = sum(codes.values())
        before = torch.tensor([0, *codes.values()])[:-1].cumsum(0)
        self.register_buffer("first_code", before, persistent=False)
        sizes = [HOURS, *(count - 1 for count in codes.values())]  # unknown is never predicted
        known = context + store + 1 + heads * self.kinds
        self.columns = nn.ModuleList(
            _network(known + CHOSEN * number, hidden, size) for number, size in enumerate(sizes)
        )
        self.chosen = nn.ModuleList(nn.Embedding(size + 1, CHOSEN) for size in sizes[:-1])
        nn.init.constant_(self.hazard.bias, -2.0)  # about once a week to begin with
        with torch.no_grad():
            for small in (self.weekday, self.holiday, self.gap):
                small.weight.mul_(0.1)
            self.own_hours.weight.copy_(torch.eye(HOURS).repeat(1, heads) / (2 * heads))

    def nats(self, x: Tensor, visits: Visits, store: Tensor, hour: Tensor, kind: Tensor) -> Tensor:
        """Minus the log-likelihood of the visits, (V, parts); 0 where a part is not known.

        x (V, d) outputs of the encoder after the trips; store (T, channels) vectors of stores,
        hour (T,) and kind (T, 4), those of all trips of the batch. Of a censored gap only the days
        without a visit count.
        """
        x = self.dropout(x)
        calendar, days = self.calendar(visits.calendar), visits.days
        logit = self.hazards(x, days, visits.own, calendar, visits.calendar["weekday"])
        lost = days.stayed * F.softplus(logit) + days.came * F.softplus(-logit)
        day = lost.new_zeros(len(visits)).index_add(0, days.visit, lost)

        context = self.context(x, calendar, visits.day, visits.gap)
        log_own, log_new = self.log_stores(context, visits.own)
        is_own = visits.store != NEW_STORE
        where = torch.where(is_own, log_own[visits.store.clamp_min(0)], log_new)
        columns = [day, -where.where(visits.came, 0)]

        weight = self.at_store(context, visits.own, visits.store)
        known = self.known(context, store[visits.next], is_own, visits.own, weight)
        earliest = hour[visits.trip].where(visits.gap == 0, 0)
        codes = torch.cat([hour[visits.next, None], kind[visits.next] - 1], 1)
        for number, code in enumerate(codes.unbind(1)):
            if number == 0:
                logits = self.hour_logits(known, visits.own, weight, earliest)
            else:
                logits = self.columns[number](known)
            silent = ~visits.came | (code < 0)
            columns.append(
                F.cross_entropy(logits, code.masked_fill(silent, -100), reduction="none")
            )
            known = self.with_chosen(known, number, code)
        return torch.stack(columns, 1)

    def calendar(self, calendar: Mapping[str, Tensor]) -> Tensor:
        """Vectors of days, (days, h): `DAY_COLUMNS` by name, (days,) each.

        Nothing of the season, which repeats in no training of less than a year.
        """
        until, since = calendar["until_holiday"], calendar["since_holiday"]
        near = self.near(closeness(until, since, self.near.weight.dtype))
        return near + self.weekday(calendar["weekday"] - 1) + self.holiday(calendar["holiday"])

    def since(self, gap: Tensor) -> Tensor:
        """Vectors of days since the trip, (n, h); gap (n,) 0 to `TAIL`."""
        place = (gap + 1).to(self.gap_curve.weight.dtype).log2() * HATS_PER_DOUBLING
        return self.gap_curve(hats(place, GAP_HATS)) + self.gap(gap)

    def hazards(
        self, x: Tensor, days: DaysAfter, own: OwnTrips, calendar: Tensor, weekday: Tensor
    ) -> Tensor:
        """Logits (P,) of coming on each day, given that the customer has not come before it.

        calendar (days, h) vectors of days, weekday (days,) from 1. The days of the tail are all
        alike: they have none.
        """
        of_day = calendar.index_select(0, days.day) * (days.gap < TAIL)[:, None]
        since = self.since(torch.arange(TAIL + 1, device=x.device))
        of_state = self.of_day(x).index_select(0, days.visit)
        rhythm = self.of_rhythm(self._rhythm(x, days, own, weekday))
        h = of_state + of_day + since.index_select(0, days.gap) + rhythm
        return self.hazard(F.silu(h)).squeeze(1)

    def _rhythm(self, x: Tensor, days: DaysAfter, own: OwnTrips, weekday: Tensor) -> Tensor:
        """Logarithms of sums over earlier trips for each day, (P, 3 heads): how often the customer
        came after such a gap, after one at least as long, and on this day of the week."""
        weight = self.rhythm(x, own, own.when[:, : len(RHYTHM)]).sigmoid()
        counts = weight.new_zeros(len(x) * (TAIL + 1), weight.shape[1])
        known = own.gap.ge(0)[:, None].to(weight.dtype)  # weighed by 0, not picked
        place = own.visit * (TAIL + 1) + own.gap.clamp_min(0)
        exact = counts.index_add(0, place, weight * known).view(len(x), TAIL + 1, -1)
        longer = exact.flip(1).cumsum(1).flip(1)
        of_weekday = weight.new_zeros(len(x) * WEEKDAYS, weight.shape[1])
        of_weekday = of_weekday.index_add(0, own.visit * WEEKDAYS + own.weekday, weight)
        gaps = days.visit * (TAIL + 1) + days.gap
        parts = [
            exact.flatten(0, 1).index_select(0, gaps),
            longer.flatten(0, 1).index_select(0, gaps),
            of_weekday.index_select(0, days.visit * WEEKDAYS + weekday[days.day] - 1),
        ]
        return (torch.cat(parts, 1) + FEW).log()

    def context(self, x: Tensor, calendar: Tensor, day: Tensor, gap: Tensor) -> Tensor:
        """The state and the day of the next trip, (V, d + h); day (V,) index into calendar."""
        return torch.cat([x, calendar[day] + self.since(gap)], 1)

    def log_stores(self, context: Tensor, own: OwnTrips) -> tuple[Tensor, Tensor]:
        """Log-probabilities (C,) of each customer's stores, and (V,) of a new one."""
        score = self.stores(context, own, own.when).logsumexp(1)
        stores = occurrences(own.store_visit, len(context))
        seen = torch.stack([own.trips, stores], 1).to(context.dtype).log()
        new = self.new_store(torch.cat([context, seen], 1)).squeeze(1)
        top = new.detach().scatter_reduce(0, own.visit, score.detach(), "amax")
        weight = (score - top.index_select(0, own.visit)).exp()
        of_store = weight.new_zeros(len(own.identity)).index_add(0, own.store, weight)
        of_new = (new - top).exp()
        log_total = of_new.index_add(0, own.store_visit, of_store).log()
        tiny = torch.finfo(of_new.dtype).tiny
        log_own = of_store.clamp_min(tiny).log() - log_total.index_select(0, own.store_visit)
        return log_own, of_new.clamp_min(tiny).log() - log_total

    def at_store(self, context: Tensor, own: OwnTrips, store: Tensor) -> Tensor:
        """How much each earlier trip says of a visit to a store, (E, heads), those of a customer
        adding up to 1; store (V,) which of the C stores it is, or `NEW_STORE`."""
        same = own.store == store.index_select(0, own.visit)
        score = self.visited(context, own, torch.cat([own.when, same[:, None].to(own.when)], 1))
        index = own.visit[:, None].expand_as(score)
        top = score.new_full((len(context), score.shape[1]), -torch.inf)
        top = top.scatter_reduce(0, index, score.detach(), "amax")
        weight = (score - top.index_select(0, own.visit)).exp()
        total = torch.zeros_like(top).index_add(0, own.visit, weight)
        return weight / total.index_select(0, own.visit)

    def known(
        self, context: Tensor, store: Tensor, is_own: Tensor, own: OwnTrips, weight: Tensor
    ) -> Tensor:
        """What hour and kind are predicted from: store (V, channels) vectors of the next trips'
        stores, is_own (V,) bool, weight (E, heads) of `at_store`."""
        kinds = _log_shares(weight, own, own.kind + self.first_code, self.kinds, len(context))
        return torch.cat([context, store, is_own[:, None].to(context.dtype), kinds], 1)

    def with_chosen(self, known: Tensor, number: int, code: Tensor) -> Tensor:
        """`known` and the choice (V,) in one of `columns`, from 0, -1 where unknown."""
        if number == len(self.chosen):
            return known
        return torch.cat([known, self.chosen[number](code + 1)], 1)

    def hour_logits(self, known: Tensor, own: OwnTrips, weight: Tensor, earliest: Tensor) -> Tensor:
        """Logits (V, 24) of the hour, at or after `earliest` (V,); weight (E, heads)."""
        shares = _log_shares(weight, own, own.hour[:, None], HOURS, len(known))
        logits = self.columns[0](known) + self.own_hours(shares)
        closed = torch.arange(HOURS, device=known.device) < earliest[:, None]
        return logits.masked_fill(closed, -torch.inf)


class OwnTripWeights(nn.Module):
    """Logarithms of the weights of earlier trips, linear in what is known of them.

    The weights of the columns are those of each head plus what the context adds (0 at the start).

    Args:
        context: channels of the context.
        heads: initial weights, one dict per head.
        columns: names of what is known of an earlier trip.
    """

    def __init__(
        self, context: int, heads: tuple[dict[str, float], ...], columns: tuple[str, ...]
    ) -> None:
        super().__init__()
        start = [[head.get(name, 0.0) for name in (*columns, ALWAYS)] for head in heads]
        self.weight = nn.Parameter(torch.tensor(start, dtype=torch.get_default_dtype()))
        self.context = nn.Linear(context, self.weight.numel(), bias=False)
        nn.init.zeros_(self.context.weight)

    def forward(self, context: Tensor, own: OwnTrips, columns: Tensor) -> Tensor:
        """context (V, channels), columns (E, columns) to (E, heads)."""
        weight = self.weight + self.context(context).view(-1, *self.weight.shape)
        weight = weight.index_select(0, own.visit)
        columns = F.pad(columns.to(weight.dtype), (0, 1), value=1)
        return (weight @ columns[:, :, None]).squeeze(2)


def _network(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, hidden), nn.SiLU(), nn.Linear(hidden, outputs))


def _log_shares(weight: Tensor, own: OwnTrips, code: Tensor, codes: int, visits: int) -> Tensor:
    """Logarithms of smoothed shares of codes among earlier trips, (V, heads * codes).

    weight (E, heads) of the trips, code (E, columns) of each.
    """
    heads, columns = weight.shape[1], code.shape[1]
    place = (own.visit[:, None] * codes + code).flatten()
    each = weight.repeat_interleave(columns, dim=0) if columns > 1 else weight
    shares = weight.new_zeros(visits * codes, heads).index_add(0, place, each)
    return (shares.view(visits, codes, heads) + SMOOTHING).log().transpose(1, 2).flatten(1)
