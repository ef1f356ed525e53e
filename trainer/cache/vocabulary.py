"""Codes that mean nothing was bought, and nothing is known.

Tokens are `[PAD]` = 0, products 1..N in the order of their codes, `[MASK]` = N + 1 and
`[EOS]` = N + 2. In the columns of the trip context 0 is `unknown`.
"""

PAD = 0
UNKNOWN = 0
