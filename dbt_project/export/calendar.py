"""Days of the chain's calendar and the public holidays among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

import holidays
import numpy as np

from dbt_project.countries import is_country

from .warehouse import Columns, ExportError

EPOCH = date(1970, 1, 1)
FARTHEST = 255
"""Days to a holiday are counted up to this."""

# Where a country's parts differ so much that those of all of them miss days every shopper knows:
# without a part, the United Kingdom has no Easter Monday and no August bank holiday.
USUAL_SUBDIVISION = {"GB": "ENG"}


def full_code(country: str) -> str:
    """Country, and subdivision where one is meant: `GB` is `GB-ENG`, `FR` is `FR`."""
    country = country.upper()
    subdivision = USUAL_SUBDIVISION.get(country)
    return f"{country}-{subdivision}" if subdivision else country


def public_holidays(country: str, first: date, last: date) -> dict[date, str]:
    """Name by date of the public holidays from a year before `first` to a year after `last`.

    country: ISO 3166-1 code, with an ISO 3166-2 subdivision after a dash where wanted (`GB-SCT`).
    Raises ExportError for a country or subdivision that the library holidays does not know.
    """
    list_them = 'python -c "import holidays; print(holidays.list_supported_countries())"'
    if not is_country(full_code(country)):
        raise ExportError(
            f"no holidays are known for --country {country}: give an ISO code such as GB, GB-SCT "
            f"or FR; {list_them} lists them all"
        )
    code, _, subdivision = full_code(country).partition("-")
    found = holidays.country_holidays(
        code, subdiv=subdivision or None, years=range(first.year - 1, last.year + 2)
    )
    return dict(sorted(found.items()))


def calendar_days(weeks: Columns, last_week: int) -> tuple[np.ndarray, np.ndarray]:
    """Every day of the weeks, and of one week more where `last_week` is beyond them.

    Returns days since 1970-01-01 and week numbers, both in the order of days.
    """
    first_days, last_days = weeks["day_from"].tolist(), weeks["day_to"].tolist()
    numbers = weeks["week"].tolist()
    if last_week > numbers[-1]:
        first_days.append(last_days[-1] + 1)
        last_days.append(last_days[-1] + 7)
        numbers.append(numbers[-1] + 1)
    spans = [np.arange(first, last + 1) for first, last in zip(first_days, last_days, strict=True)]
    lengths = [len(span) for span in spans]
    return np.concatenate(spans), np.repeat(numbers, lengths)


def day_columns(
    days: np.ndarray, weeks: np.ndarray, by_date: Mapping[date, str], labels: Sequence[str]
) -> Columns:
    """The cache's table `days`. A holiday that is no label has code 0, but is one to count from."""
    codes = {name: code for code, name in enumerate(labels, start=1)}
    holiday_days = np.array([(day - EPOCH).days for day in by_date], dtype=np.int64)
    # Distances to all holidays, (days, holidays): a few hundred thousand at most.
    ahead = holiday_days - days[:, None]
    until = np.where(ahead >= 0, ahead, FARTHEST).min(axis=1, initial=FARTHEST)
    since = np.where(ahead <= 0, -ahead, FARTHEST).min(axis=1, initial=FARTHEST)
    dates = [EPOCH + timedelta(days=day) for day in days.tolist()]
    return {
        "days.date": days,
        "days.week": weeks,
        "days.weekday": np.array([day.isoweekday() % 7 + 1 for day in dates]),
        "days.week_of_year": np.array([day.isocalendar().week for day in dates]),
        "days.day_of_year": np.array([day.timetuple().tm_yday for day in dates]),
        "days.holiday": np.array([codes.get(by_date.get(day, ""), 0) for day in dates]),
        "days.until_holiday": until,
        "days.since_holiday": since,
    }
