"""Countries whose public holidays are known."""

from __future__ import annotations

import holidays


def is_country(code: str) -> bool:
    """Whether the library holidays knows an ISO 3166-1 code or, with a dash, the ISO 3166-2
    subdivision of one (`GB`, `GB-SCT`)."""
    country, dash, subdivision = code.partition("-")
    supported = holidays.list_supported_countries()
    return country in supported and (not dash or subdivision in supported[country])
