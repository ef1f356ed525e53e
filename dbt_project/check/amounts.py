"""What a first layout says of amounts, from names and contents of their columns."""

from __future__ import annotations

import re

from dbt_project.layouts.order_lines import parse_terms


def amounts(roles: dict[str, str], values: dict[str, set[str]], notes: list[str]) -> dict[str, str]:
    """The keys `decimal`, `paid`, `regular` and `coupon` of a layout, as far as there is one; notes
    gets what may be otherwise.

    roles: part of a layout -> column. values: column -> some of its values.
    """
    keys = {}
    off = "+" if _are_negative(values.get(roles.get("discount", ""), set())) else "-"
    sum_paid, regular = paid(roles, off), _regular(roles)
    texts = [text for name in names_in(sum_paid) for text in values.get(name, ())]
    commas, points = (
        sum(bool(re.fullmatch(rf"[+-]?\d+[{point}]\d+", text)) for text in texts) for point in ",."
    )
    if commas > points:
        keys["decimal"] = ","
    parted = [text for text in texts if re.search(r"\d[.,]\d", text)]
    if parted and all(re.fullmatch(r"[+-]?\d{1,3}([.,]\d{3})+", text) for text in parted):
        shown = min(parted, key=lambda text: (len(text), text))
        notes.append(
            f"{sum_paid}: the last three digits of {shown} are read as decimals: if they are not, "
            "write amounts without signs between thousands"
        )
    if sum_paid:
        keys["paid"] = sum_paid
    if regular and regular != sum_paid:
        keys["regular"] = regular
        if "paid" in roles and "gross" in roles:
            notes.append(
                f"{roles['gross']}: taken for {roles['paid']} before discounts; if it is that with "
                f"tax, write paid: {regular}, and no regular"
            )
    if "coupon" in roles:
        sign = "- " if _are_negative(values[roles["coupon"]]) else ""
        keys["coupon"] = sign + _quoted(roles["coupon"])
    if sum_paid and sum_paid == roles.get("amount") and "discount" in roles:
        notes.append(
            f"{roles['discount']}: taken for off {sum_paid} already; if not, write paid: "
            f"{sum_paid} {off} {roles['discount']}, and regular: {sum_paid}"
        )
    return keys


def paid(roles: dict[str, str], off: str = "-") -> str | None:
    """What a line came to, as a layout's terms.

    off: + where discounts are negative.
    """
    get = {part: _quoted(name) for part, name in roles.items()}.get
    if "paid" in roles:
        return get("paid")
    if "gross" in roles and "discount" in roles:
        return f"{get('gross')} {off} {get('discount')}"
    if "amount" in roles or "gross" in roles:
        return get("amount") or get("gross")
    if "price" in roles:
        return f"{get('quantity')} * {get('price')}" if "quantity" in roles else get("price")
    return None


def names_in(terms: str | None) -> list[str]:
    """The columns of a layout's terms."""
    return [name for term in parse_terms(terms or "") for name in term.columns if name]


def _regular(roles: dict[str, str]) -> str | None:
    get = {part: _quoted(name) for part, name in roles.items()}.get
    if "gross" in roles:
        return get("gross")
    if "list_price" in roles:
        unit = get("list_price")
        return f"{get('quantity')} * {unit}" if "quantity" in roles else unit
    return None


def _are_negative(texts: set[str]) -> bool:
    """Whether most amounts other than zero are."""
    some = [text for text in texts if re.search("[1-9]", text)]
    return 2 * sum(text.startswith("-") for text in some) > len(some)


def _quoted(name: str) -> str:
    return f"`{name}`" if re.search(r"\s[-+*]\s", name) else name
