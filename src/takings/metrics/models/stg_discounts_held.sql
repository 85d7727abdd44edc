/*
kind = "staging"
meaning.en = "Which discounts each subscription, or one of its items, had, from when to when, and the end each has of itself: as seen, as its customer has them, and as its invoices tell."
meaning.fr = "Quelles réductions chaque abonnement, ou un de ses éléments, avait, de quand à quand, et la fin que chacune a d’elle-même : telles que vues, telles que son client les a, et telles que ses factures le disent."
grain = ["account", "livemode", "subscription", "item", "discount"]
needs = [
  "metrics.stg_discounts", "metrics.stg_invoiced_items", "metrics.stg_items_held", "metrics.stg_subscription_versions"
]
*/
WITH seen AS (
  SELECT v.account AS account, v.livemode AS livemode, v.subscription AS subscription, CAST(NULL AS VARCHAR) AS item,
    unnest(v.discounts) AS discount, v.since AS since, v.until AS until
  FROM metrics.stg_subscription_versions AS v
  UNION ALL
  SELECT i.account AS account, i.livemode AS livemode, i.subscription AS subscription, i.item AS item,
    unnest(i.discounts) AS discount, i.since AS since, i.until AS until
  FROM metrics.stg_items_held AS i
),
shown AS (
  SELECT s.account AS account, s.livemode AS livemode, s.subscription AS subscription, s.item AS item, s.discount AS discount,
    min(s.since) AS since, max(s.until) AS until
  FROM seen AS s
  GROUP BY 1, 2, 3, 4, 5
),
billed AS (
  SELECT b.account AS account, b.livemode AS livemode, b.subscription AS subscription, b.discount AS discount, min(b.since) AS since, max(b.until) AS until
  FROM (
    SELECT i.account AS account, i.livemode AS livemode, i.subscription AS subscription, unnest(i.discounts) AS discount, i.since AS since, i.until AS until
    FROM metrics.stg_invoiced_items AS i
    WHERE NOT i.credit
  ) AS b
  GROUP BY 1, 2, 3, 4
),
held AS (
  SELECT s.account AS account, s.livemode AS livemode, s.subscription AS subscription, s.item AS item, s.discount AS discount,
    coalesce(d.since, s.since) AS since,
    least(s.until, d.until, CASE WHEN d.duration = 'once' THEN coalesce(b.until, s.until) ELSE s.until END) AS until,
    CASE WHEN d.duration = 'once' THEN least(d.until, b.until) ELSE d.until END AS ends
  FROM shown AS s
  JOIN metrics.stg_discounts AS d ON d.account = s.account AND d.livemode = s.livemode AND d.discount = s.discount
  LEFT JOIN billed AS b ON b.account = s.account AND b.livemode = s.livemode AND b.subscription = s.subscription AND b.discount = s.discount
  UNION ALL
  SELECT b.account AS account, b.livemode AS livemode, b.subscription AS subscription, d.item AS item, b.discount AS discount,
    coalesce(d.since, b.since) AS since, least(d.until, b.until) AS until,
    CASE WHEN d.duration = 'once' THEN least(d.until, b.until) ELSE d.until END AS ends
  FROM billed AS b
  JOIN metrics.stg_discounts AS d ON d.account = b.account AND d.livemode = b.livemode AND d.discount = b.discount AND NOT d.everywhere
  WHERE NOT EXISTS (
    SELECT 1 AS one FROM shown AS s
    WHERE s.account = b.account AND s.livemode = b.livemode AND s.subscription = b.subscription AND s.discount = b.discount
  )
  UNION ALL
  -- A customer's discount is for those of its subscriptions that have none of their own.
  SELECT v.account AS account, v.livemode AS livemode, v.subscription AS subscription, CAST(NULL AS VARCHAR) AS item, d.discount AS discount,
    d.since AS since, d.until AS until, d.until AS ends
  FROM metrics.stg_subscription_versions AS v
  JOIN metrics.stg_discounts AS d ON d.account = v.account AND d.livemode = v.livemode AND d.customer = v.customer AND d.everywhere
  WHERE v.newest AND len(v.discounts) = 0
)
SELECT
  h.account AS account,
  h.livemode AS livemode,
  h.subscription AS subscription,
  h.item AS item,
  h.discount AS discount,
  h.since AS since,
  h.until AS until,
  h.ends AS ends,
  d.duration AS duration,
  d.facts AS facts
FROM held AS h
JOIN metrics.stg_discounts AS d ON d.account = h.account AND d.livemode = h.livemode AND d.discount = h.discount
WHERE h.since < h.until
