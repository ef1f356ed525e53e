"""The chain as receipts, price list and invoices show it: what was learnt, and weeks in it."""

NO_COUPONS = (
    "the learned world knows no coupons: the chain's receipts hold none that were handed out, so "
    "neither redemption nor what a coupon adds can be learnt from them. Use world=chain"
)
