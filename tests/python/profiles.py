"""How many examples generated tests try.

`make test` tries the same few hundred each time. Thousands, others each time:

    python -m pytest --hypothesis-profile thorough tests/python/...
"""

from __future__ import annotations

import random

from hypothesis import HealthCheck, settings

# On a busy machine everything is slow, which is no failure.
untimed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None)
settings.register_profile("quick", untimed, max_examples=100, derandomize=True)
settings.register_profile("thorough", untimed, max_examples=2000, print_blob=True)
settings.load_profile("quick")  # conftest.py imports this before pytest reads its option


def examples(number: int) -> settings:
    """Decorates a test that tries `number` examples, or with `thorough` 20 times as many."""
    return settings(max_examples=number * settings.default.max_examples // 100)


def repetitions(number: int) -> int:
    """The same for a test that counts by itself."""
    return examples(number).max_examples


def seed() -> int:
    """For a test that draws by itself, and prints it."""
    return 0 if settings.default.derandomize else random.randrange(1_000_000)
