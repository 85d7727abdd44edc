/*
kind = "staging"
meaning.en = "What was decided of each subscription and had not come yet, at each moment at which that changed: step by step what the subscription will be, and what is asked about the worth of that."
meaning.fr = "Ce qui était décidé de chaque abonnement et n’était pas encore advenu, à chaque moment où cela changeait : pas à pas ce que sera l’abonnement, et la question posée sur sa valeur."
grain = ["account", "livemode", "contract", "at", "due"]
needs = [
  "metrics.stg_coupons", "metrics.stg_discounts", "metrics.stg_discounts_held", "metrics.stg_items_held", "metrics.stg_mrr_states", "metrics.stg_prices",
  "metrics.stg_schedule_phases", "metrics.stg_subscription_versions", "metrics.stg_usage", "stripe.promotion_codes"
]
*/
WITH discounts AS MATERIALIZED (
  SELECT d.*
  FROM metrics.stg_discounts_held AS d
  WHERE d.duration = 'forever' OR (d.duration = 'repeating' AND $repeating) OR (d.duration = 'once' AND $once)
),
-- A contract is a subscription, or a schedule that has none yet.
decisions AS MATERIALIZED (
  SELECT v.account AS account, v.livemode AS livemode, v.subscription AS contract, FALSE AS alone, 'cancellation' AS kind,
    greatest(v.since, coalesce(v.canceled_at, v.since)) AS known, v.until AS forgotten,
    coalesce(v.cancel_at, v.period_end, TIMESTAMPTZ '9998-01-01 00:00:00+00') AS due,
    'subscriptions' AS object, v.subscription AS source, CAST(NULL AS TIMESTAMPTZ) AS since, CAST(NULL AS BIGINT) AS place
  FROM metrics.stg_subscription_versions AS v
  WHERE v.leaving
  UNION ALL
  -- Of one that has ended it is known when that was asked for.
  SELECT v.account AS account, v.livemode AS livemode, v.subscription AS contract, FALSE AS alone, 'cancellation' AS kind,
    v.canceled_at AS known, v.ended_at AS forgotten, v.ended_at AS due, 'subscriptions' AS object, v.subscription AS source, NULL AS since, NULL AS place
  FROM metrics.stg_subscription_versions AS v
  WHERE v.newest AND v.canceled_at < v.ended_at
  UNION ALL
  SELECT d.account AS account, d.livemode AS livemode, d.subscription AS contract, FALSE AS alone, 'discount_end' AS kind,
    d.since AS known, d.until AS forgotten, d.ends AS due, 'discounts' AS object, d.discount AS source, NULL AS since, NULL AS place
  FROM discounts AS d
  WHERE d.ends < TIMESTAMPTZ '9999-12-31 00:00:00+00'
  UNION ALL
  SELECT p.account AS account, p.livemode AS livemode, coalesce(p.subscription, p.schedule) AS contract, p.subscription IS NULL AS alone, 'phase' AS kind,
    p.since AS known, p.until AS forgotten, p.starts AS due, 'subscription_schedules' AS object, p.schedule AS source, p.since AS since, p.place AS place
  FROM metrics.stg_schedule_phases AS p
  WHERE p.starts > p.since AND p.priced
  UNION ALL
  SELECT p.account AS account, p.livemode AS livemode, coalesce(p.subscription, p.schedule) AS contract, p.subscription IS NULL AS alone, 'cancellation' AS kind,
    p.since AS known, p.until AS forgotten, p.ends AS due, 'subscription_schedules' AS object, p.schedule AS source, NULL AS since, NULL AS place
  FROM metrics.stg_schedule_phases AS p
  WHERE p.cancels
),
contracts AS (
  SELECT d.account AS account, d.livemode AS livemode, d.contract AS contract, bool_or(d.alone) AS alone
  FROM decisions AS d
  GROUP BY 1, 2, 3
),
stood AS MATERIALIZED (
  SELECT s.account AS account, s.livemode AS livemode, s.subscription AS contract, s.at AS at, s.state AS state, s.customer AS customer,
    s.currency AS currency, s.reconstructed AS reconstructed
  FROM metrics.stg_mrr_states AS s
  SEMI JOIN contracts AS c ON c.account = s.account AND c.livemode = s.livemode AND c.contract = s.subscription
),
moments AS (
  SELECT d.account AS account, d.livemode AS livemode, d.contract AS contract, unnest([d.known, d.forgotten, d.due]) AS at FROM decisions AS d
  UNION
  SELECT s.account AS account, s.livemode AS livemode, s.contract AS contract, s.at AS at FROM stood AS s
),
standing AS (
  SELECT m.account AS account, m.livemode AS livemode, m.contract AS contract, m.at AS at,
    lead(m.at) OVER by_time AS next_at,
    CASE WHEN c.alone THEN 'scheduled' ELSE last_value(s.state IGNORE NULLS) OVER by_time END AS state,
    last_value(s.customer IGNORE NULLS) OVER by_time AS customer,
    last_value(s.currency IGNORE NULLS) OVER by_time AS currency,
    last_value(s.reconstructed IGNORE NULLS) OVER by_time AS reconstructed
  FROM moments AS m
  JOIN contracts AS c ON c.account = m.account AND c.livemode = m.livemode AND c.contract = m.contract
  LEFT JOIN stood AS s ON s.account = m.account AND s.livemode = m.livemode AND s.contract = m.contract AND s.at = m.at
  WHERE CAST(m.at AT TIME ZONE $zone AS DATE) <= $today
  WINDOW by_time AS (PARTITION BY m.account, m.livemode, m.contract ORDER BY m.at)
),
pending AS (
  SELECT s.*, d.kind AS kind, d.due AS due, d.object AS object, d.source AS source, d.since AS since, d.place AS place,
    CASE d.kind WHEN 'cancellation' THEN 1 WHEN 'phase' THEN 2 ELSE 3 END AS rank,
    min(CASE WHEN d.kind = 'cancellation' THEN d.due END) OVER (PARTITION BY s.account, s.livemode, s.contract, s.at) AS stops_at
  FROM standing AS s
  JOIN decisions AS d ON d.account = s.account AND d.livemode = s.livemode AND d.contract = s.contract AND d.known <= s.at AND s.at < d.forgotten
  WHERE d.due > s.at AND s.state IN ('counts', 'trial', 'scheduled')
),
-- What is decided for after the end will not come. Of several things at one moment, the one that decides most names the step.
first_said AS (
  SELECT p.*
  FROM pending AS p
  WHERE p.stops_at IS NULL OR p.due <= p.stops_at
  QUALIFY row_number() OVER (PARTITION BY p.account, p.livemode, p.contract, p.at, p.due ORDER BY p.rank, p.source) = 1
),
ahead AS (
  SELECT f.account AS account, f.livemode AS livemode, f.contract AS contract, f.at AS at, f.next_at AS next_at, f.state AS state,
    f.customer AS customer, f.currency AS currency, f.reconstructed AS reconstructed, f.due AS due, f.kind AS kind, f.object AS object, f.source AS source,
    last_value(CASE WHEN f.kind = 'phase' THEN f.source END IGNORE NULLS) OVER by_due AS schedule,
    last_value(f.since IGNORE NULLS) OVER by_due AS since,
    last_value(f.place IGNORE NULLS) OVER by_due AS place
  FROM first_said AS f
  WINDOW by_due AS (PARTITION BY f.account, f.livemode, f.contract, f.at ORDER BY f.due ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
),
steps AS MATERIALIZED (
  SELECT a.* FROM ahead AS a
  UNION ALL
  SELECT DISTINCT a.account AS account, a.livemode AS livemode, a.contract AS contract, a.at AS at, a.next_at AS next_at, a.state AS state,
    a.customer AS customer, a.currency AS currency, a.reconstructed AS reconstructed, a.at AS due, 'now' AS kind, NULL AS object, NULL AS source,
    CAST(NULL AS VARCHAR) AS schedule, CAST(NULL AS TIMESTAMPTZ) AS since, CAST(NULL AS BIGINT) AS place
  FROM ahead AS a
),
phases AS MATERIALIZED (
  SELECT s.account AS account, s.livemode AS livemode, s.contract AS contract, s.at AS at, s.due AS due, s.kind AS kind, p.items AS items,
    p.discounts AS discounts, p.on_trial AS on_trial, p.customer AS customer, p.currency AS currency, p.as_of AS as_of
  FROM steps AS s
  JOIN metrics.stg_schedule_phases AS p
    ON p.account = s.account AND p.livemode = s.livemode AND p.schedule = s.schedule AND p.since = s.since AND p.place = s.place
),
held AS MATERIALIZED (
  SELECT s.account AS account, s.livemode AS livemode, s.contract AS contract, s.at AS at, i.item AS item, i.price AS price, i.quantity AS quantity,
    i.taxes AS taxes
  FROM (SELECT DISTINCT x.account AS account, x.livemode AS livemode, x.contract AS contract, x.at AS at FROM steps AS x) AS s
  JOIN metrics.stg_items_held AS i
    ON i.account = s.account AND i.livemode = s.livemode AND i.subscription = s.contract AND i.since <= s.at AND s.at < i.until
),
-- Where the policy counts usage, a phase with the same metered price keeps what was invoiced of it last.
used AS (
  SELECT h.account AS account, h.livemode AS livemode, h.contract AS contract, h.at AS at, h.price AS price, any_value(u.facts) AS facts
  FROM held AS h
  JOIN metrics.stg_usage AS u
    ON u.account = h.account AND u.livemode = h.livemode AND u.item = h.item AND u.price = h.price AND u.known_from <= h.at AND h.at < u.known_until
  WHERE $metered = 'last_invoiced'
  GROUP BY 1, 2, 3, 4, 5
),
taxed AS (
  SELECT h.account AS account, h.livemode AS livemode, h.contract AS contract, h.at AS at, arg_min(h.taxes, h.item) AS taxes
  FROM held AS h
  WHERE len(h.taxes) > 0
  GROUP BY 1, 2, 3, 4
),
items AS (
  SELECT s.account AS account, s.livemode AS livemode, s.contract AS contract, s.at AS at, s.due AS due, h.item AS item, h.price AS price,
    h.quantity AS quantity, h.taxes AS taxes
  FROM steps AS s
  JOIN held AS h ON h.account = s.account AND h.livemode = s.livemode AND h.contract = s.contract AND h.at = s.at
  WHERE s.schedule IS NULL AND s.kind <> 'cancellation' AND s.state = 'counts'
  UNION ALL
  -- Where a phase names no tax, prices include the tax that they do now.
  SELECT u.account AS account, u.livemode AS livemode, u.contract AS contract, u.at AS at, u.due AS due, u.i.price AS item, u.i.price AS price,
    u.i.quantity AS quantity, CASE WHEN len(u.i.taxes) > 0 THEN u.i.taxes ELSE coalesce(t.taxes, []) END AS taxes
  FROM (SELECT p.*, unnest(p.items) AS i FROM phases AS p WHERE p.kind <> 'cancellation' AND NOT p.on_trial) AS u
  LEFT JOIN taxed AS t ON t.account = u.account AND t.livemode = u.livemode AND t.contract = u.contract AND t.at = u.at
),
named AS (
  SELECT p.account AS account, p.livemode AS livemode, p.contract AS contract, p.at AS at, p.due AS due, CAST(NULL AS VARCHAR) AS item, unnest(p.discounts) AS named
  FROM phases AS p
  UNION ALL
  SELECT u.account AS account, u.livemode AS livemode, u.contract AS contract, u.at AS at, u.due AS due, u.i.price AS item, unnest(u.i.discounts) AS named
  FROM (SELECT p.*, unnest(p.items) AS i FROM phases AS p) AS u
),
off AS (
  SELECT s.account AS account, s.livemode AS livemode, s.contract AS contract, s.at AS at, s.due AS due, d.item AS item, d.discount AS name, d.facts AS facts
  FROM steps AS s
  JOIN discounts AS d
    ON d.account = s.account AND d.livemode = s.livemode AND d.subscription = s.contract AND d.since <= s.at AND s.at < d.until
  WHERE s.schedule IS NULL AND d.ends > s.due
  UNION ALL
  SELECT n.account AS account, n.livemode AS livemode, n.contract AS contract, n.at AS at, n.due AS due, n.item AS item, d.discount AS name, d.facts AS facts
  FROM named AS n
  JOIN metrics.stg_discounts AS d ON d.account = n.account AND d.livemode = n.livemode AND d.discount = n.named.discount
  WHERE d.until > n.due AND (d.duration = 'forever' OR (d.duration = 'repeating' AND $repeating) OR (d.duration = 'once' AND $once))
  UNION ALL
  -- A coupon that the phase is to redeem: the end of one that does not last is as decided as its beginning.
  SELECT n.account AS account, n.livemode AS livemode, n.contract AS contract, n.at AS at, n.due AS due, n.item AS item, c.coupon AS name, c.facts AS facts
  FROM named AS n
  LEFT JOIN stripe.promotion_codes AS k ON k._account = n.account AND k._livemode = n.livemode AND k.id = n.named.code
  JOIN metrics.stg_coupons AS c
    ON c.account = n.account AND c.livemode = n.livemode AND c.coupon = coalesce(
      n.named.coupon, json_extract_string(k.promotion, '$.coupon.id'), json_extract_string(k.promotion, '$.coupon')
    )
  WHERE n.named.discount IS NULL AND c.duration = 'forever'
  UNION ALL
  SELECT p.account AS account, p.livemode AS livemode, p.contract AS contract, p.at AS at, p.due AS due, CAST(NULL AS VARCHAR) AS item, d.discount AS name, d.facts AS facts
  FROM phases AS p
  JOIN metrics.stg_discounts AS d ON d.account = p.account AND d.livemode = p.livemode AND d.customer = p.customer AND d.everywhere
  WHERE len(coalesce(p.discounts, [])) = 0 AND d.since <= p.due AND d.until > p.due
    AND (d.duration = 'forever' OR (d.duration = 'repeating' AND $repeating) OR (d.duration = 'once' AND $once))
),
taken_off AS (
  SELECT o.account AS account, o.livemode AS livemode, o.contract AS contract, o.at AS at, o.due AS due, o.item AS item,
    string_agg(CAST(o.facts AS VARCHAR), ',' ORDER BY o.name) AS discounts
  FROM off AS o
  GROUP BY ALL
),
asked AS (
  SELECT i.account AS account, i.livemode AS livemode, i.contract AS contract, i.at AS at, i.due AS due,
    list({'price': i.price, 'product': p.product, 'interval': p."interval"} ORDER BY i.item) AS items,
    string_agg(
      CASE WHEN p.usage_type = 'metered' THEN u.facts ELSE CASE WHEN p.facts IS NULL THEN '{"currency":""' ELSE left(CAST(p.facts AS VARCHAR), length(CAST(p.facts AS VARCHAR)) - 1) END
        || ',"quantity":' || CAST(i.quantity AS VARCHAR) || ',"taxes":' || CAST(to_json(i.taxes) AS VARCHAR)
        || ',"discounts":[' || coalesce(t.discounts, '') || ']}' END,
      ',' ORDER BY i.item
    ) AS asked
  FROM items AS i
  LEFT JOIN metrics.stg_prices AS p ON p.account = i.account AND p.livemode = i.livemode AND p.price = i.price
  LEFT JOIN taken_off AS t
    ON t.account = i.account AND t.livemode = i.livemode AND t.contract = i.contract AND t.at = i.at AND t.due = i.due AND t.item = i.item
  LEFT JOIN used AS u ON u.account = i.account AND u.livemode = i.livemode AND u.contract = i.contract AND u.at = i.at AND u.price = i.price
  WHERE coalesce(p.usage_type, 'licensed') <> 'metered' OR u.facts IS NOT NULL
  GROUP BY ALL
),
shown AS (
  SELECT s.account AS account, s.livemode AS livemode, s.contract AS contract, s.at AS at, s.next_at AS next_at, s.due AS due, s.kind AS kind,
    s.object AS object, s.source AS source, CASE WHEN s.state = 'scheduled' THEN NULL ELSE s.contract END AS subscription,
    coalesce(s.customer, max(p.customer) OVER at_once) AS customer,
    coalesce(s.currency, max(p.currency) OVER at_once) AS currency,
    coalesce(s.reconstructed, s.at < max(p.as_of) OVER at_once) AS reconstructed
  FROM steps AS s
  LEFT JOIN phases AS p ON p.account = s.account AND p.livemode = s.livemode AND p.contract = s.contract AND p.at = s.at AND p.due = s.due
  WINDOW at_once AS (PARTITION BY s.account, s.livemode, s.contract, s.at)
)
SELECT
  s.*,
  a.items AS items,
  CASE
    WHEN a.asked IS NOT NULL THEN '{"currency":"' || s.currency || '","thirty_days":' || CASE WHEN $thirty_days THEN 'true' ELSE 'false' END
      || ',"discounts":[' || coalesce(t.discounts, '') || '],"items":[' || a.asked || ']}'
  END AS question
FROM shown AS s
LEFT JOIN asked AS a ON a.account = s.account AND a.livemode = s.livemode AND a.contract = s.contract AND a.at = s.at AND a.due = s.due
LEFT JOIN taken_off AS t
  ON t.account = s.account AND t.livemode = s.livemode AND t.contract = s.contract AND t.at = s.at AND t.due = s.due AND t.item IS NULL
