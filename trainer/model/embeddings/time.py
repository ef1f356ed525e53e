"""T3: when a trip takes place."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from trainer.cache.reader import TensorCache
from trainer.features.calendar import training_days
from trainer.model.checks import expect_integers

WEEK, WEEKDAY, HOUR, HOLIDAY, SEASON, TREND, RECENCY = 16, 8, 8, 8, 8, 8, 8
WEEKS_OF_YEAR, WEEKDAYS, HOURS = 53, 7, 24
DAYS_OF_YEAR = 365.25
CLOSENESS_DAYS = 7.0
"""The effect of a holiday falls by a factor of e per week."""
RECENCY_HATS = RECENCY - 1
HAT_GAIN = 1.5**0.5
"""At a uniform place the squares of two neighbouring hats add up to 2 / 3 in the mean."""


class TimeEmbedding(nn.Module):
    """T3 (64): week of year 16, weekday 8, hour 8, holiday 8, season 8, trend 8, recency 8.

    - week of year, weekday, hour: embeddings.
    - holiday: embedding of the day's holiday (0 = none) + a linear map of the closeness
      exp(-days / 7) to the next one and since the last one.
    - season: sine and cosine of the day of the year, four harmonics; nothing learned. Unlike the
      week's embedding it places weeks 52 and 1 side by side.
    - trend: a piecewise linear curve over the training days with 8 evenly spaced knots. It is flat
      outside: a later day reads as the last of training, and no slope is extrapolated.
    - recency: a piecewise linear curve in log(1 + days since the customer's trip before), with
      knots where 1 + days doubles: 0, 1, 3, 7, 15, 31 and 63 days and more; a separate vector
      for the first trip.

    Embeddings start at N(0, 1), curves at unit variance.

    Args:
        holidays: number of holiday labels, none not counted.
        training_days: days from the first to the last of the training weeks.
    """

    WIDTH = WEEK + WEEKDAY + HOUR + HOLIDAY + SEASON + TREND + RECENCY

    def __init__(self, holidays: int, training_days: int) -> None:
        super().__init__()
        self.week_of_year = nn.Embedding(WEEKS_OF_YEAR, WEEK)
        self.weekday = nn.Embedding(WEEKDAYS, WEEKDAY)
        self.hour = nn.Embedding(HOURS, HOUR)
        self.holiday = nn.Embedding(holidays + 1, HOLIDAY)
        self.closeness = nn.Linear(2, HOLIDAY, bias=False)
        self.trend = nn.Linear(TREND, TREND, bias=False)
        self.recency = nn.Linear(RECENCY, RECENCY, bias=False)
        nn.init.normal_(self.closeness.weight)
        nn.init.normal_(self.trend.weight, std=HAT_GAIN)
        nn.init.normal_(self.recency.weight, std=HAT_GAIN)
        self.register_buffer("last_day", torch.tensor(max(training_days - 1, 1)))

    @classmethod
    def from_cache(cls, cache: TensorCache) -> TimeEmbedding:
        """For the holidays and the training weeks of a cache."""
        return cls(len(cache.labels["holiday"]), len(training_days(cache)))

    def forward(
        self,
        weekday: Tensor,
        week_of_year: Tensor,
        day_of_year: Tensor,
        hour: Tensor,
        holiday: Tensor,
        until_holiday: Tensor,
        since_holiday: Tensor,
        day: Tensor,
        days_since_previous: Tensor,
    ) -> Tensor:
        """The times of T trips, (T, 64); every argument (T,) integers.

        weekday 1..7; week_of_year 1..53; day_of_year 1..366; hour 0..23; holiday label, 0 = none;
        until_holiday, since_holiday in days; day: from the first training day, which is 0 (see
        `training_days`); days_since_previous: -1 for a customer's first trip. Raises ValueError
        for other shapes or dtypes, IndexError on a CPU for labels out of range.
        """
        arguments = {
            "weekday": weekday,
            "week_of_year": week_of_year,
            "day_of_year": day_of_year,
            "hour": hour,
            "holiday": holiday,
            "until_holiday": until_holiday,
            "since_holiday": since_holiday,
            "day": day,
            "days_since_previous": days_since_previous,
        }
        for name, values in arguments.items():
            expect_integers(name, values, (len(weekday),))
        dtype = self.trend.weight.dtype
        near = closeness(until_holiday, since_holiday, dtype)
        return torch.cat(
            [
                self.week_of_year(week_of_year.long() - 1),
                self.weekday(weekday.long() - 1),
                self.hour(hour.long()),
                self.holiday(holiday.long()) + self.closeness(near),
                harmonics(day_of_year, dtype),
                self.trend(hats(day.to(dtype) / self.last_day * (TREND - 1), TREND)),
                self.recency(recency_hats(days_since_previous, dtype)),
            ],
            dim=1,
        )


def closeness(until: Tensor, since: Tensor, dtype: torch.dtype) -> Tensor:
    """exp(-days / 7), days to the next and since the last holiday, (T, 2)."""
    return (torch.stack([until, since], dim=1).to(dtype) / -CLOSENESS_DAYS).exp()


def harmonics(day_of_year: Tensor, dtype: torch.dtype) -> Tensor:
    """sin(k a) for k = 1..4, then cos(k a), a = 2 pi day / 365.25: (T, 8)."""
    k = torch.arange(1, SEASON // 2 + 1, device=day_of_year.device, dtype=dtype)
    angle = day_of_year.to(dtype)[:, None] * k * (2 * math.pi / DAYS_OF_YEAR)
    return torch.cat([angle.sin(), angle.cos()], dim=1)


def hats(place: Tensor, knots: int) -> Tensor:
    """Linear B-splines with knots 0..knots - 1 at place (T,), clamped: (T, knots), rows sum to 1.

    Source: de Boor, A Practical Guide to Splines, 1978, chapter III (broken lines).
    """
    k = torch.arange(knots, device=place.device, dtype=place.dtype)
    return (1 - (place.clamp(0, knots - 1)[:, None] - k).abs()).clamp_min(0)


def recency_hats(days: Tensor, dtype: torch.dtype) -> Tensor:
    """Seven hats in log2(1 + days), then 1 for a first trip (days = -1) and no hat: (T, 8)."""
    is_first = (days < 0)[:, None]
    curve = hats((days.to(dtype).clamp_min(0) + 1).log2(), RECENCY_HATS)
    return torch.cat([curve.masked_fill(is_first, 0), is_first.to(dtype)], dim=1)
