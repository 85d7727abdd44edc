/*
kind = "staging"
meaning.en = "What each item of a subscription was, from when to when: as seen, and before that as invoices tell."
meaning.fr = "Ce que chaque élément d’abonnement était, de quand à quand : tel que vu, et avant cela tel que les factures le disent."
grain = ["account", "livemode", "subscription", "item", "since"]
needs = ["metrics.stg_invoiced_items", "metrics.stg_subscription_versions", "raw.versions"]
*/
WITH states AS (
  SELECT v.account AS account, v.livemode AS livemode, v.subscription AS subscription, v.place AS place,
    max(v.as_of) AS as_of, max(v.until) AS until, min(v.first_seen) AS first_seen, bool_or(v.more) AS more, any_value(v.items) AS items,
    any_value(v.taxes) AS taxes
  FROM metrics.stg_subscription_versions AS v
  GROUP BY 1, 2, 3, 4
),
large AS (
  SELECT s.account AS account, s.livemode AS livemode, s.subscription AS subscription, min(s.first_seen) AS first_seen FROM states AS s WHERE s.more GROUP BY 1, 2, 3
),
-- Ten items come within a subscription; where there are more, the states of the items themselves are asked.
parts AS (
  SELECT v.account AS account, v.livemode AS livemode, v.parent AS subscription, v.id AS item, v.as_of AS since,
    coalesce(lead(v.as_of) OVER (PARTITION BY v.account, v.livemode, v.id ORDER BY v.as_of, v.hash), TIMESTAMPTZ '9999-12-31 00:00:00+00') AS until,
    v.deleted AS deleted, g.first_seen AS first_seen,
    from_json(v.payload, '{"created": "BIGINT", "quantity": "BIGINT", "price": {"id": "VARCHAR"}, "discounts": ["JSON"], "tax_rates": [{"inclusive": "BOOLEAN", "percentage": "DOUBLE"}]}') AS i
  FROM raw.versions AS v
  JOIN large AS g ON g.account = v.account AND g.livemode = v.livemode AND g.subscription = v.parent
  WHERE v.resource = 'subscription_items'
),
seen AS (
  SELECT s.account AS account, s.livemode AS livemode, s.subscription AS subscription, u.i.id AS item, s.as_of AS since, s.until AS until,
    u.i.price AS price, coalesce(u.i.quantity, 1) AS quantity, u.i.discounts AS discounts,
    CASE WHEN len(u.i.taxes) > 0 THEN u.i.taxes ELSE s.taxes END AS taxes, u.i.created AS created, s.first_seen AS first_seen
  FROM states AS s, unnest(s.items) AS u(i)
  WHERE NOT EXISTS (SELECT 1 AS one FROM large AS g WHERE g.account = s.account AND g.livemode = s.livemode AND g.subscription = s.subscription)
  UNION ALL
  SELECT p.account AS account, p.livemode AS livemode, p.subscription AS subscription, p.item AS item, p.since AS since, p.until AS until,
    p.i.price.id AS price, coalesce(p.i.quantity, 1) AS quantity,
    list_transform(p.i.discounts, lambda d: CASE WHEN json_type(d) = 'OBJECT' THEN json_extract_string(d, '$.id') ELSE json_extract_string(d, '$') END) AS discounts,
    list_transform(list_filter(p.i.tax_rates, lambda r: r.inclusive), lambda r: r.percentage) AS taxes,
    to_timestamp(p.i.created) AS created, p.first_seen AS first_seen
  FROM parts AS p
  WHERE NOT p.deleted
),
-- The first time an item was seen, with what is known of it then.
met AS (
  SELECT s.* FROM seen AS s
  QUALIFY row_number() OVER (PARTITION BY s.account, s.livemode, s.subscription, s.item ORDER BY s.since) = 1
),
told AS (
  SELECT i.*, f.first_seen AS first_seen
  FROM metrics.stg_invoiced_items AS i
  JOIN (SELECT s.account AS account, s.livemode AS livemode, s.subscription AS subscription, min(s.first_seen) AS first_seen FROM states AS s GROUP BY 1, 2, 3) AS f
    ON f.account = i.account AND f.livemode = i.livemode AND f.subscription = i.subscription
  WHERE i.since < f.first_seen
),
-- An item that was gone before we looked ended with the credit for what was left of it, else with what was billed last.
ended AS (
  SELECT t.account AS account, t.livemode AS livemode, t.subscription AS subscription, t.item AS item,
    CASE
      WHEN max(t.since) FILTER (WHERE t.credit) > max(t.since) FILTER (WHERE NOT t.credit) THEN max(t.since) FILTER (WHERE t.credit)
      ELSE max(t.until) FILTER (WHERE NOT t.credit)
    END AS at
  FROM told AS t
  GROUP BY 1, 2, 3, 4
),
facts AS (
  SELECT t.account AS account, t.livemode AS livemode, t.subscription AS subscription, t.item AS item,
    row_number() OVER in_order AS place, t.since AS since,
    lead(t.since) OVER in_order AS next_at,
    t.price AS price, coalesce(t.quantity, 1) AS quantity, t.taxes AS taxes, t.first_seen AS first_seen
  FROM told AS t
  WHERE NOT t.credit
  WINDOW in_order AS (PARTITION BY t.account, t.livemode, t.subscription, t.item ORDER BY t.since)
),
before AS (
  SELECT f.account AS account, f.livemode AS livemode, f.subscription AS subscription, f.item AS item,
    CASE WHEN f.place = 1 AND m.created < f.since THEN m.created ELSE f.since END AS since,
    least(coalesce(f.next_at, CASE WHEN m.item IS NULL THEN e.at ELSE m.since END), f.first_seen) AS until,
    f.price AS price, f.quantity AS quantity, coalesce(m.discounts, []) AS discounts, coalesce(m.taxes, f.taxes) AS taxes, FALSE AS observed
  FROM facts AS f
  LEFT JOIN met AS m ON m.account = f.account AND m.livemode = f.livemode AND m.subscription = f.subscription AND m.item = f.item AND m.since = f.first_seen
  LEFT JOIN ended AS e ON e.account = f.account AND e.livemode = f.livemode AND e.subscription = f.subscription AND e.item = f.item
  UNION ALL
  SELECT m.account AS account, m.livemode AS livemode, m.subscription AS subscription, m.item AS item, m.created AS since, m.since AS until,
    m.price AS price, m.quantity AS quantity, m.discounts AS discounts, m.taxes AS taxes, FALSE AS observed
  FROM met AS m
  WHERE m.created < m.since AND m.since = m.first_seen AND NOT EXISTS (
    SELECT 1 AS one FROM facts AS f WHERE f.account = m.account AND f.livemode = m.livemode AND f.subscription = m.subscription AND f.item = m.item
  )
),
-- Prices that include a tax which Stripe works out: the subscription does not say how much, its last invoice does.
taxed AS (
  SELECT t.account AS account, t.livemode AS livemode, t.item AS item, arg_max(t.taxes, t.since) AS taxes
  FROM metrics.stg_invoiced_items AS t
  WHERE NOT t.credit AND t.taxes IS NOT NULL
  GROUP BY 1, 2, 3
),
everything AS (
  SELECT b.* FROM before AS b WHERE b.since < b.until
  UNION ALL
  SELECT s.account AS account, s.livemode AS livemode, s.subscription AS subscription, s.item AS item, s.since AS since, s.until AS until,
    s.price AS price, s.quantity AS quantity, s.discounts AS discounts, s.taxes AS taxes, TRUE AS observed
  FROM seen AS s
  WHERE s.since < s.until
),
marked AS (
  SELECT e.*,
    hash(e.price, e.quantity, coalesce(e.discounts, []), coalesce(e.taxes, [])) AS print,
    coalesce(
      lag(e.until) OVER w = e.since AND lag(hash(e.price, e.quantity, coalesce(e.discounts, []), coalesce(e.taxes, []))) OVER w
        = hash(e.price, e.quantity, coalesce(e.discounts, []), coalesce(e.taxes, [])),
      FALSE
    ) AS goes_on
  FROM everything AS e
  WINDOW w AS (PARTITION BY e.account, e.livemode, e.subscription, e.item ORDER BY e.since)
),
grouped AS (
  SELECT m.*, sum(CASE WHEN m.goes_on THEN 0 ELSE 1 END) OVER (PARTITION BY m.account, m.livemode, m.subscription, m.item ORDER BY m.since) AS stretch
  FROM marked AS m
)
SELECT
  g.account AS account,
  g.livemode AS livemode,
  g.subscription AS subscription,
  g.item AS item,
  min(g.since) AS since,
  max(g.until) AS until,
  any_value(g.price) AS price,
  any_value(g.quantity) AS quantity,
  coalesce(any_value(g.discounts), []) AS discounts,
  CASE WHEN len(any_value(g.taxes)) > 0 THEN any_value(g.taxes) ELSE coalesce(any_value(x.taxes), []) END AS taxes
FROM grouped AS g
LEFT JOIN taxed AS x ON x.account = g.account AND x.livemode = g.livemode AND x.item = g.item
GROUP BY g.account, g.livemode, g.subscription, g.item, g.stretch
