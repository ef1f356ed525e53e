"""Questions in the words of the raw data, understood or refused. All raise `ApiError`."""

from __future__ import annotations

from serving.answers import Asked
from serving.chain import ServedChain
from serving.errors import ApiError, invalid
from serving.requests import BasketQuestion
from serving.schemas import CompletionIn, ExplainIn, NextVisitIn
from trainer.features.plans import UNKNOWN_STORE, TripPlan
from trainer.model.state import CustomerState


def asked_of(served: ServedChain, question: BasketQuestion, state: CustomerState) -> Asked:
    """A question about a basket, understood."""
    visible, left_out = [], []
    if isinstance(question, CompletionIn | ExplainIn):
        visible, left_out = served.tokens(question.basket)
    if isinstance(question, ExplainIn):
        tokens, _ = served.tokens([question.product])
        if not tokens:
            raise ApiError(404, "unknown_product", f"no product {question.product!r}", "product")
        if tokens[0] in visible:
            raise invalid("product: it is in the basket already", "product")
    served.check_date(question.date)
    plan = TripPlan(
        question.date, question.hour, _store(served, question.store, state),
        served.kind(question.kind), tuple(visible),
    )  # fmt: skip
    try:
        state.features.check_order(plan)
    except ValueError as error:
        raise ApiError(409, "past", str(error), "date") from None
    return Asked(question, state, plan, left_out)


def check_visit(served: ServedChain, question: NextVisitIn, state: CustomerState) -> None:
    """Refuse a question about a next visit that cannot be answered."""
    if not state.features.trips:
        raise ApiError(
            409, "no_trips", "what follows a trip is known after the first one", "customer"
        )
    if question.not_before is not None:
        served.check_latest(question.not_before, "not_before")
    if question.date is not None:
        served.check_date(question.date)
        if question.not_before is not None and question.date < question.not_before:
            raise invalid("date: it lies before not_before", "date")
        if question.date < state.features.last[0]:
            raise ApiError(
                409, "past", f"{question.date} lies before the customer's last trip", "date"
            )


def _store(served: ServedChain, code: str | None, state: CustomerState) -> int:
    if code is not None:
        return served.chain.store(code)
    trips = state.features.log.trips
    return int(trips["store"][-1]) - 1 if len(trips) else UNKNOWN_STORE
