with coupons as (
    select * from {{ raw_table('coupons', {
        'coupon_upc': 'whole number', 'product_id': 'whole number', 'campaign_id': 'whole number',
    }) }}
),

campaigns as (
    select * from {{ raw_table('campaign_descriptions', {
        'campaign_id': 'whole number', 'campaign_type': 'text', 'start_date': 'time', 'end_date': 'time',
    }) }}
)

select
    coupons.campaign_id::string as campaign_code,
    coupons.product_id::string as product_code,
    campaigns.campaign_type,
    campaigns.start_date::date as first_date,
    campaigns.end_date::date as last_date,
    count(distinct coupons.coupon_upc)::integer as coupons
from coupons
inner join campaigns on coupons.campaign_id = campaigns.campaign_id
group by
    coupons.campaign_id, coupons.product_id, campaigns.campaign_type, campaigns.start_date,
    campaigns.end_date
