"""The data obey the truth: prices, launches, substitution, complements."""

from __future__ import annotations

import numpy as np
import pytest

from dbt_project.sample.demand import ETA


def test_spend_is_quantity_times_one_price_per_store_and_week(chain):
    assert chain.one(
        """select count(*) from (
            select PROD_CODE, STORE_CODE, w from item join products on PROD_CODE = product
            where not random_weight group by all having count(distinct pence / QUANTITY) > 1
                or max(pence % QUANTITY) > 0)"""
    ) == 0  # fmt: skip
    assert chain.one("select avg((QUANTITY > 1)::int) from item") > 0.1


def test_prices_paid_are_the_truths_shelf_prices_and_promotions(chain):
    wrong, promoted, rows = chain.sql(
        """with paid as (select distinct PROD_CODE as product, STORE_FORMAT as store_format,
                STORE_REGION as region, w, pence // QUANTITY as paid from item),
        priced as (select paid.*, regular_price_pence as regular, max(p.depth) as depth
            from paid join products using (product)
            join shelf_prices s on s.product = paid.product
                and s.store_format = paid.store_format and w between s.week_from and s.week_to
            left join promotions p on p.product = paid.product
                and w between p.week_from and p.week_to
                and coalesce(p.store_region, region) = region
            where not random_weight group by all)
        select count(*) filter (abs(paid - regular * (1 - coalesce(depth, 0))) > 0.51),
            count(*) filter (depth > 0), count(*) from priced"""
    )[0]
    assert wrong == 0
    assert promoted > 0.01 * rows


def test_random_weight_products_vary_within_a_store_and_week(chain):
    rows = chain.sql(
        """with c as (select PROD_CODE, count(*) as n, count(distinct pence) as d,
            max(QUANTITY) as q from item where PROD_CODE in (select product from products
                where random_weight) group by PROD_CODE, STORE_CODE, w having count(*) > 1)
        select sum(d - 1) / sum(n - 1), max(q) from c"""
    )
    varying, most = rows[0]
    assert varying > 0.9
    assert most == 1
    wanted = "select count(*) > 5 from products where random_weight and price_per_kg_pence > 0"
    assert chain.one(wanted)
    assert chain.one("select bool_and(prod_code_40 = 'D00002') from products where random_weight")


def test_nothing_appears_before_its_first_week(chain, dense):
    early = """select count(*) from item join {0} on {1} = {2} where w < first_week"""
    assert chain.one(early.format("products", "PROD_CODE", "product")) == 0
    late_rows = "select count(*) from item join stores on STORE_CODE = store where first_week > 1"
    for written in (chain, dense):
        assert written.one(early.format("stores", "STORE_CODE", "store")) == 0
        assert written.one(late_rows) > 20
    assert chain.one(early.format("households", "CUST_CODE", "customer")) == 0
    assert chain.one(
        "select count(*) from item join households on CUST_CODE = customer where w > last_week"
    ) == 0  # fmt: skip
    assert chain.one("select count(*) from products where first_week > 1") > 50
    assert chain.one("select count(*) from households where first_week > 1") > 10


def test_primary_store_is_the_most_visited(chain):
    assert chain.one(
        """with v as (select CUST_CODE as customer, STORE_CODE as store,
                count(distinct BASKET_ID) as n from item where CUST_CODE is not null group by all),
            m as (select customer, arg_max(store, n) as store, sum(n) as n from v
                group by customer having sum(n) >= 30)
        select avg((store = primary_store)::int) from m join households using (customer)"""
    ) > 0.85  # fmt: skip


def test_favourites_are_bought_again_and_again(chain):
    own, everyone = chain.sql(
        """with top as (select customer, product from favourites
                qualify row_number() over (partition by customer order by weight desc) <= 5),
            bought as (select CUST_CODE as customer, PROD_CODE as product, count(*) as n from item
                where CUST_CODE is not null group by all),
            per as (select customer, sum(n) as total from bought group by customer
                having total > 200),
            usual as (select product, sum(n) / (select sum(n) from bought) as share from bought
                group by product)
        select sum(coalesce(n, 0) / total) / count(distinct customer),
            sum(share) / count(distinct customer)
        from top join per using (customer) join usual using (product)
            left join bought using (customer, product)"""
    )[0]
    assert own > 0.08
    assert own > 2 * everyone


@pytest.fixture(scope="module")
def panel(dense):
    """Item counts, promotion depths and truth of the dense chain as arrays (product, region, w)."""
    products = dense.connection.execute("select * from products order by product").fetchnumpy()
    place = {p: i for i, p in enumerate(products["product"])}
    regions = [r for (r,) in dense.sql("select distinct STORE_REGION from item order by 1")]
    shape = len(place), len(regions), dense.config.weeks + 1
    count, depth = np.zeros(shape), np.zeros(shape)
    for p, r, w, n in dense.sql(
        "select PROD_CODE, STORE_REGION, w, count(*) from item group by all"
    ):
        count[place[p], regions.index(r), w] = n
    for p, r, first, last, d in dense.sql(
        "select product, store_region, week_from, week_to, depth from promotions"
    ):
        where = slice(None) if r is None else regions.index(r)
        depth[place[p], where, first : last + 1] = d
    return products, count, depth


def response(panel, affected) -> tuple[float, float]:
    """Observed and expected log change of sales in the cells chosen by `affected`.

    A cell is (product, region, week); its baseline is the product's share of the region's items
    in weeks within six of it in which nothing in its need is promoted. The expectation is the
    module docstring's formula at the population's shares, for one sensitivity class.
    """
    products, count, depth = panel
    need, eps = products["need"], products["eps"]
    share = products["base_share"] / np.bincount(need, products["base_share"])[need]
    total = count.sum(0)
    promoted = np.stack([np.bincount(need, d) for d in (depth > 0).reshape(len(need), -1).T], 1)
    promoted = promoted.reshape(-1, *depth.shape[1:])[need]
    week = np.arange(depth.shape[2])
    old = (week >= products["first_week"][:, None, None] + 2) & (week > 0)
    clean = old & (promoted == 0)
    observed = base = model = 0.0
    for i, r, w in np.argwhere(old & affected(depth > 0, promoted)):
        near = np.arange(max(w - 6, 1), min(w + 7, depth.shape[2]))
        near = near[clean[i, r, near]]
        if near.size < 4:
            continue
        expected = count[i, r, near].sum() / total[r, near].sum() * total[r, w]
        rivals = need == need[i]
        ratio = 1 - depth[rivals, r, w]
        respond = ratio ** -eps[rivals]
        mean, index = share[rivals] @ respond, share[rivals] @ ratio
        gain = (1 - depth[i, r, w]) ** -eps[i] / mean * index**-ETA
        observed, base, model = observed + count[i, r, w], base + expected, model + expected * gain
    assert base > 3000
    return float(np.log(observed / base)), float(np.log(model / base))


def test_own_price_response_is_the_truths(panel):
    observed, expected = response(panel, lambda of_product, all_: of_product & (all_ == 1))
    assert expected > 0.4
    # Dropping duplicates in a basket takes a little off, the more the fewer products there are.
    assert 0.75 * expected < observed < 1.1 * expected


def test_substitutes_lose_when_a_rival_is_promoted(panel):
    observed, expected = response(panel, lambda of_product, all_: ~of_product & (all_ == 1))
    assert expected < -0.05
    assert 1.3 * expected < observed < 0.6 * expected


def test_complements_are_bought_together(dense):
    rows = dense.sql(
        """with total as (select count(distinct BASKET_ID) as n from item),
            a as (select PROD_CODE as p, count(*) as n from item group by p),
            pair as (select c.product, c.partner, count(*) as n from complements c
                join item x on x.PROD_CODE = c.product
                join item y on y.PROD_CODE = c.partner and y.BASKET_ID = x.BASKET_ID
                group by all)
        select pair.n * total.n / (l.n * r.n) from pair join a l on l.p = product
            join a r on r.p = partner, total where l.n > 200"""
    )
    lifts = [lift for (lift,) in rows]
    assert len(lifts) >= 4
    assert np.median(lifts) > 2
    assert min(lifts) > 1.2


def test_the_truth_names_each_substitute_once(chain):
    assert chain.one("select count(*) from substitutes where product >= rival") == 0
    assert chain.one("select max(n) from (select count(*) n from products group by need)") <= 8
    assert chain.one(
        """select count(*) from substitutes s join products a using (product)
        join products b on b.product = s.rival where a.prod_code_10 != b.prod_code_10"""
    ) == 0  # fmt: skip


def test_a_world_tells_its_costs_shocks_and_elasticities(chain):
    """What is written beside the data is what the data were made of."""
    own, cross, wrong = chain.sql(
        """select median(elasticity) filter (sold = priced),
            median(elasticity) filter (sold != priced),
            avg((elasticity > 0)::int) filter (sold = priced)
        from elasticities where level = 'product'"""
    )[0]
    assert -3.5 < own < -1.2 and 0.05 < cross < 0.8 and wrong < 0.05
    levels = dict(chain.sql("select level, count(*) from elasticities group by level"))
    assert levels["department"] == 9 and levels["chain"] == 1
    assert chain.one(
        """select count(*) from item join stock_outs o on o.product = PROD_CODE
        and o.store_region = item.STORE_REGION and o.week = w"""
    ) == 0  # fmt: skip
    rows, units, revenue, trips = chain.sql(
        """select count(*), sum(units), sum(revenue), sum(trips) from weeks"""
    )[0]
    assert (rows, units, revenue, trips) == chain.sql(
        """select count(distinct w), sum(QUANTITY), sum(pence), count(distinct BASKET_ID)
        from item"""
    )[0]
    assert chain.one("select avg(profit / revenue) from weeks") == pytest.approx(0.29, abs=0.03)
    # A unit's cost is its first price less the margin, moved by the shock; no shock at first.
    assert chain.one(
        """select max(abs(unit_cost_pence / exp(log_shock)
            / (coalesce(price_per_kg_pence, base_price_pence) * (1 - margin)) - 1))
        from costs join products using (product)"""
    ) < 1e-9  # fmt: skip
    assert chain.one("select max(abs(log_shock)) from costs where week = 1") == 0


def test_households_that_leave_are_told(chain):
    left = dict(chain.sql("select event, count(*) from departures group by event"))
    assert left["lost"] > 5
    assert chain.one(
        """select count(*) from departures d join item on CUST_CODE = d.customer and w >= d.week
        where event = 'lost' and not exists (
            select 1 from departures r where r.customer = d.customer and r.event = 'returned')"""
    ) == 0  # fmt: skip
