"""Aggregates of LGSR from which the synthetic chain takes its proportions.

Every number here is a count, share or quantile over the publisher's 5,000-customer sample
(113 weekly files, 2,536,726 rows); no row of it is part of the project.
"""

from __future__ import annotations

import numpy as np

# One line per product group (PROD_CODE_30): department number, products, share of rows,
# sub-commodities (PROD_CODE_10), commodities (PROD_CODE_20), mean unit price in pounds, and the
# class its items count as when a basket's mission is named.
FRESH, GROCERY, NONFOOD, UNCLASSIFIED = range(4)
GROUPS: tuple[tuple[int, int, float, int, int, float, int], ...] = (
    (1, 138, 0.04366, 6, 2, 0.96, FRESH),
    (1, 113, 0.01509, 6, 1, 1.26, FRESH),
    (1, 128, 0.03067, 10, 4, 1.00, FRESH),
    (2, 385, 0.19560, 27, 5, 1.20, FRESH),
    (2, 84, 0.01250, 8, 3, 4.45, FRESH),
    (2, 75, 0.01225, 5, 3, 4.32, FRESH),
    (2, 938, 0.22272, 24, 6, 1.50, FRESH),
    (2, 256, 0.03632, 12, 7, 1.49, FRESH),
    (2, 50, 0.00513, 2, 2, 3.00, FRESH),
    (3, 281, 0.04890, 12, 6, 0.78, GROCERY),
    (3, 89, 0.01184, 5, 3, 0.66, GROCERY),
    (3, 56, 0.00701, 8, 3, 1.45, GROCERY),
    (3, 386, 0.04812, 14, 3, 1.00, GROCERY),
    (3, 168, 0.02512, 4, 2, 1.48, GROCERY),
    (3, 280, 0.06070, 11, 2, 1.24, GROCERY),
    (3, 521, 0.08653, 14, 3, 0.95, GROCERY),
    (4, 52, 0.00259, 9, 5, 1.70, NONFOOD),
    (4, 73, 0.00441, 13, 3, 4.33, NONFOOD),
    (4, 3, 0.00012, 2, 2, 2.59, NONFOOD),
    (4, 3, 0.00015, 2, 1, 1.52, NONFOOD),
    (5, 299, 0.04783, 8, 1, 1.69, NONFOOD),
    (5, 350, 0.02922, 14, 4, 1.46, NONFOOD),
    (5, 79, 0.03130, 8, 5, 0.38, NONFOOD),
    (6, 3, 0.00116, 2, 2, 4.74, UNCLASSIFIED),
    (6, 3, 0.00065, 1, 1, 1.00, UNCLASSIFIED),
    (7, 1, 0.00008, 1, 1, 9.36, NONFOOD),
    (8, 47, 0.00526, 4, 2, 6.06, GROCERY),
    (8, 99, 0.00892, 10, 5, 4.76, GROCERY),
    (8, 16, 0.00204, 4, 1, 11.37, UNCLASSIFIED),
    (9, 16, 0.00319, 3, 1, 0.49, GROCERY),
    (9, 5, 0.00091, 1, 1, 4.69, UNCLASSIFIED),
)
GROUP_DEPARTMENT = np.array([g[0] for g in GROUPS])
GROUP_PRODUCTS = np.array([g[1] for g in GROUPS])
GROUP_SHARE = np.array([g[2] for g in GROUPS]) / sum(g[2] for g in GROUPS)
GROUP_CL = np.array([g[3] for g in GROUPS])
GROUP_DEP = np.array([g[4] for g in GROUPS])
GROUP_PRICE = np.array([g[5] for g in GROUPS])
GROUP_CLASS = np.array([g[6] for g in GROUPS])
# Carrier bags stand in this group and count for no mission.
BAG_GROUP = 22

# Share of draws of the most popular fraction of products. LGSR's shares of rows (.096 of the top
# .2 %, .189 of 1 %, .249 of 2 %) are lower at the head: a product counts once in a basket.
POPULARITY = (
    (0.0, 0.0), (0.0002, 0.0240), (0.0004, 0.0410), (0.0008, 0.0730), (0.002, 0.112),
    (0.01, 0.200), (0.02, 0.256), (0.1, 0.464), (0.2, 0.601), (0.5, 0.832), (1.0, 1.0),
)  # fmt: skip
# Quantiles over products of the median unit price, in pounds.
PRICE = (
    (0.0, 0.03), (0.01, 0.10), (0.05, 0.28), (0.10, 0.40), (0.25, 0.71), (0.50, 1.19),
    (0.75, 1.96), (0.90, 3.21), (0.95, 4.44), (0.99, 9.24), (1.0, 30.0),
)  # fmt: skip
# Cumulative share of baskets by number of items, 1, 2, 3, ...
ITEMS_CDF = np.array([
    .1933, .3525, .4702, .5553, .6212, .6732, .7156, .7507, .7804, .8060, .8291, .8495, .8675,
    .8834, .8983, .9112, .9229, .9332, .9424, .9505, .9575, .9638, .9693, .9738, .9778, .9812,
    .9843, .9870, .9893, .9911, .9926, .9939, .9950, .9958, .9966, .9973, .9978, .9983, .9986,
    .9989, .9991, .9993, .9994, .9995, .9996, .9997, .9998, .99985, .9999, .99992, .99994,
    .99996, .99998, 1.0,
])  # fmt: skip
# Units of an item bought more than once: LGSR has no 2.
MULTIPLES = np.array([3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 18, 24, 36])
MULTIPLE_SHARE = np.array([
    .1351, .0191, .0043, .0074, .0031, .0023, .0019, .0006, .0009, .0006, .0010, .0006,
    .0004, .0002,
])  # fmt: skip
# Trips of a customer over 117 weeks, by quantile of customers.
QUIET = 0.15  # share of customers in segment DY
TRIPS = (
    (0.0, 1.3), (0.15, 2.3), (0.25, 6.3), (0.50, 38.0), (0.75, 111.0), (0.90, 196.0),
    (0.99, 475.0), (1.0, 900.0),
)  # fmt: skip
HOUR_SHARE = np.array([
    .061, .041, .056, .071, .081, .090, .091, .088, .084, .077, .069, .058, .047, .086,
])  # fmt: skip
FIRST_HOUR = 8
FORMATS = ("LS", "MS", "SS", "XLS")
FORMAT_STORES = np.array([330, 236, 167, 28]) / 761
FORMAT_BASKETS = np.array([0.58, 0.25, 0.10, 0.07])
REGIONS = (
    "E01", "N01", "S01", "W01", "E02", "N02", "S02", "W02", "E03", "N03", "S03", "W03",
)  # fmt: skip
LIFESTAGES = ("", "BU", "AT", "DI", "CZ", "FN", "EQ")
LIFESTAGE_SHARE = np.array([0.10, 0.45, 0.13, 0.11, 0.10, 0.07, 0.04])
ANONYMOUS_TRIPS = 0.243
RANDOM_WEIGHT_PRODUCTS, RANDOM_WEIGHT_ROWS = 0.05, 0.10
