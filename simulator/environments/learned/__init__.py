"""The chain as receipts, price list and invoices show it: what was learnt, and weeks in it."""

NO_COUPONS = (
    "the learned world knows no coupons: the chain's receipts hold none that were handed out. "
    "Hold a trial (python -m simulator.policy trial) and learn from it (learn --trial), or use "
    "world=chain"
)
