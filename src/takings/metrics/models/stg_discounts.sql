/*
kind = "staging"
meaning.en = "Discounts with what their coupon takes off, and since when and until when."
meaning.fr = "Les réductions avec ce que leur coupon enlève, et depuis quand et jusqu’à quand."
grain = ["account", "livemode", "discount"]
needs = ["metrics.stg_coupons", "stripe.customers", "stripe.discounts"]
*/
WITH held AS (
  SELECT
    d._account AS account, d._livemode AS livemode, d.id AS discount, d.customer AS customer, d.subscription_item AS item,
    coalesce(json_extract_string(d.source, '$.coupon.id'), json_extract_string(d.source, '$.coupon')) AS coupon,
    d."start" AS since, d."end" AS until, FALSE AS everywhere
  FROM stripe.discounts AS d
  UNION ALL
  SELECT
    c._account AS account, c._livemode AS livemode, json_extract_string(c.discount, '$.id') AS discount, c.id AS customer,
    CAST(NULL AS VARCHAR) AS item,
    coalesce(
      json_extract_string(c.discount, '$.source.coupon.id'), json_extract_string(c.discount, '$.source.coupon'),
      json_extract_string(c.discount, '$.coupon.id')
    ) AS coupon,
    to_timestamp(CAST(json_extract_string(c.discount, '$.start') AS BIGINT)) AS since,
    to_timestamp(CAST(json_extract_string(c.discount, '$.end') AS BIGINT)) AS until, TRUE AS everywhere
  FROM stripe.customers AS c
  WHERE json_extract_string(c.discount, '$.id') IS NOT NULL
)
SELECT
  h.account AS account,
  h.livemode AS livemode,
  h.discount AS discount,
  h.customer AS customer,
  h.item AS item,
  h.everywhere AS everywhere,
  h.coupon AS coupon,
  c.duration AS duration,
  h.since AS since,
  coalesce(h.until, TIMESTAMPTZ '9999-12-31 00:00:00+00') AS until,
  c.facts AS facts
FROM held AS h
JOIN metrics.stg_coupons AS c ON c.coupon = h.coupon AND c.account = h.account AND c.livemode = h.livemode
QUALIFY row_number() OVER (PARTITION BY h.account, h.livemode, h.discount ORDER BY h.everywhere DESC) = 1
