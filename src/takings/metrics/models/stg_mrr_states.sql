/*
kind = "staging"
meaning.en = "How each subscription stood after each moment at which anything about it changed: whether it counts, its items, and what is asked about their worth."
meaning.fr = "Où en était chaque abonnement après chaque moment où quelque chose y changeait : s’il compte, ses éléments, et la question posée sur leur valeur."
grain = ["account", "livemode", "subscription", "at"]
needs = [
  "metrics.stg_discounts_held", "metrics.stg_items_held", "metrics.stg_prices", "metrics.stg_refunded", "metrics.stg_subscription_versions",
  "metrics.stg_usage"
]
*/
WITH versions AS MATERIALIZED (
  SELECT v.*,
    CASE
      WHEN v.newest AND v.ended_at IS NOT NULL AND $cancel = 'at_request' THEN least(coalesce(v.canceled_at, v.ended_at), v.ended_at)
      WHEN v.newest THEN coalesce(v.ended_at, v.gone_at)
    END AS end_at,
    CASE WHEN v.leaving AND $cancel = 'at_request' THEN coalesce(v.canceled_at, v.since) END AS left_at
  FROM metrics.stg_subscription_versions AS v
),
subscriptions AS MATERIALIZED (
  SELECT v.account AS account, v.livemode AS livemode, v.subscription AS subscription, min(v.start_at) AS start_at, max(v.end_at) AS end_at,
    min(v.created) AS created, min(v.first_seen) AS first_seen, max(v.customer) AS customer, max(v.currency) AS currency,
    list({'since': v.left_at, 'until': v.until}) FILTER (WHERE v.left_at IS NOT NULL) AS leaves,
    max(v.cancellation) FILTER (WHERE v.newest) AS cancellation
  FROM versions AS v
  GROUP BY 1, 2, 3
),
discounts AS (
  SELECT d.*
  FROM metrics.stg_discounts_held AS d
  WHERE d.duration = 'forever' OR (d.duration = 'repeating' AND $repeating) OR (d.duration = 'once' AND $once)
),
moments AS (
  SELECT s.account AS account, s.livemode AS livemode, s.subscription AS subscription, unnest([s.start_at, s.end_at]) AS at FROM subscriptions AS s
  UNION
  SELECT v.account AS account, v.livemode AS livemode, v.subscription AS subscription,
    unnest([
      v.since, v.left_at, v.resumes_at,
      CASE WHEN v.trial_start BETWEEN v.since AND v.until THEN v.trial_start END,
      CASE WHEN v.trial_end BETWEEN v.since AND v.until THEN v.trial_end END
    ]) AS at
  FROM versions AS v
  UNION
  SELECT i.account AS account, i.livemode AS livemode, i.subscription AS subscription, unnest([i.since, i.until]) AS at FROM metrics.stg_items_held AS i
  UNION
  SELECT d.account AS account, d.livemode AS livemode, d.subscription AS subscription, unnest([d.since, d.until]) AS at FROM discounts AS d
  UNION
  SELECT u.account AS account, u.livemode AS livemode, u.subscription AS subscription, unnest([u.known_from, u.known_until]) AS at FROM metrics.stg_usage AS u
  UNION
  SELECT r.account AS account, r.livemode AS livemode, r.subscription AS subscription, unnest([r.since, r.until]) AS at FROM metrics.stg_refunded AS r
),
points AS (
  SELECT m.account AS account, m.livemode AS livemode, m.subscription AS subscription, m.at AS at, s.customer AS customer, s.currency AS currency,
    s.start_at AS start_at, s.created AS created, s.first_seen AS first_seen, s.end_at AS end_at, s.leaves AS leaves, s.cancellation AS cancellation
  FROM moments AS m
  JOIN subscriptions AS s ON s.account = m.account AND s.livemode = m.livemode AND s.subscription = m.subscription
  WHERE m.at >= s.start_at AND m.at <= coalesce(s.end_at, TIMESTAMPTZ '9999-01-01 00:00:00+00') AND CAST(m.at AT TIME ZONE $zone AS DATE) <= $today
),
states AS MATERIALIZED (
  SELECT
    p.*,
    CASE
      WHEN p.at >= p.end_at THEN 'ended'
      WHEN v.status IN ('incomplete', 'incomplete_expired') THEN 'incomplete'
      WHEN v.status = 'unpaid' THEN 'unpaid'
      WHEN v.status = 'paused' THEN 'paused'
      WHEN NOT $trials AND (
        (p.at >= coalesce(v.trial_start, p.start_at) AND p.at < v.trial_end) OR (v.status = 'trialing' AND (v.newest OR v.trial_end IS NULL))
      ) THEN 'trial'
      WHEN len(list_filter(p.leaves, lambda l: l.since <= p.at AND p.at < l.until)) > 0 THEN 'leaving'
      WHEN v.pause IS NOT NULL AND p.at < coalesce(v.resumes_at, TIMESTAMPTZ '9999-12-31 00:00:00+00') AND (
        $pause = 'out' OR ($pause = 'by_behavior' AND v.pause IN ('void', 'mark_uncollectible'))
      ) THEN 'paused'
      WHEN v.status = 'past_due' AND NOT $past_due THEN 'past_due'
      WHEN r.invoice IS NOT NULL THEN 'refunded'
      ELSE 'counts'
    END AS state
  FROM points AS p
  JOIN versions AS v
    ON v.account = p.account AND v.livemode = p.livemode AND v.subscription = p.subscription AND v.since <= p.at AND p.at < v.until
  LEFT JOIN metrics.stg_refunded AS r
    ON r.account = p.account AND r.livemode = p.livemode AND r.subscription = p.subscription AND r.since <= p.at AND p.at < r.until
),
whole_discounts AS (
  SELECT s.account AS account, s.livemode AS livemode, s.subscription AS subscription, s.at AS at, d.item AS item,
    string_agg(CAST(d.facts AS VARCHAR), ',' ORDER BY d.since, d.discount) AS discounts
  FROM states AS s
  JOIN discounts AS d
    ON d.account = s.account AND d.livemode = s.livemode AND d.subscription = s.subscription AND d.since <= s.at AND s.at < d.until
  WHERE s.state = 'counts'
  GROUP BY ALL
),
items AS MATERIALIZED (
  SELECT s.account AS account, s.livemode AS livemode, s.subscription AS subscription, s.at AS at,
    list({
      'item': i.item, 'price': i.price, 'product': p.product, 'interval': p."interval", 'interval_count': p.interval_count, 'quantity': i.quantity,
      'metered': coalesce(p.usage_type, 'licensed') = 'metered'
    } ORDER BY i.item) AS items,
    string_agg(
      CASE WHEN p.usage_type = 'metered' THEN u.facts ELSE CASE WHEN p.facts IS NULL THEN '{"currency":""' ELSE left(CAST(p.facts AS VARCHAR), length(CAST(p.facts AS VARCHAR)) - 1) END
        || ',"quantity":' || CAST(i.quantity AS VARCHAR) || ',"taxes":' || CAST(to_json(i.taxes) AS VARCHAR)
        || ',"discounts":[' || coalesce(w.discounts, '') || ']}' END,
      ',' ORDER BY i.item
    ) AS asked
  FROM states AS s
  JOIN metrics.stg_items_held AS i
    ON i.account = s.account AND i.livemode = s.livemode AND i.subscription = s.subscription AND i.since <= s.at AND s.at < i.until
  LEFT JOIN metrics.stg_prices AS p ON p.account = s.account AND p.livemode = s.livemode AND p.price = i.price
  LEFT JOIN whole_discounts AS w
    ON w.account = s.account AND w.livemode = s.livemode AND w.subscription = s.subscription AND w.at = s.at AND w.item = i.item
  LEFT JOIN metrics.stg_usage AS u
    ON u.account = i.account AND u.livemode = i.livemode AND u.item = i.item AND u.price = i.price AND u.known_from <= s.at AND s.at < u.known_until
  WHERE s.state = 'counts' AND (coalesce(p.usage_type, 'licensed') <> 'metered' OR u.item IS NOT NULL)
  GROUP BY ALL
),
asked AS (
  SELECT
    s.account AS account,
    s.livemode AS livemode,
    s.subscription AS subscription,
    s.at AS at,
    s.customer AS customer,
    s.currency AS currency,
    s.state AS state,
    s.cancellation AS cancellation,
    s.at < s.first_seen AS reconstructed,
    s.start_at < s.created - INTERVAL 1 DAY AS moved,
    i.items AS items,
    CASE
      WHEN i.asked IS NOT NULL THEN '{"currency":"' || s.currency || '","thirty_days":' || CASE WHEN $thirty_days THEN 'true' ELSE 'false' END
        || ',"discounts":[' || coalesce(w.discounts, '') || '],"items":[' || i.asked || ']}'
    END AS question
  FROM states AS s
  LEFT JOIN items AS i ON i.account = s.account AND i.livemode = s.livemode AND i.subscription = s.subscription AND i.at = s.at
  LEFT JOIN whole_discounts AS w
    ON w.account = s.account AND w.livemode = s.livemode AND w.subscription = s.subscription AND w.at = s.at AND w.item IS NULL
)
SELECT
  a.account AS account,
  a.livemode AS livemode,
  a.subscription AS subscription,
  a.at AS at,
  a.customer AS customer,
  a.currency AS currency,
  a.state AS state,
  a.cancellation AS cancellation,
  a.reconstructed AS reconstructed,
  a.moved AS moved,
  a.items AS items,
  a.question AS question
FROM asked AS a
WINDOW by_time AS (PARTITION BY a.account, a.livemode, a.subscription ORDER BY a.at)
QUALIFY coalesce(
  lag(a.state) OVER by_time <> a.state OR lag(a.question) OVER by_time IS DISTINCT FROM a.question OR lag(a.items) OVER by_time IS DISTINCT FROM a.items,
  TRUE
)
