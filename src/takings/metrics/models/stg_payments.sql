/*
kind = "staging"
meaning.en = "Payments, each with what became of it: PaymentIntents however often they were tried, and charges made without one."
meaning.fr = "Les paiements, chacun avec ce qu’il est devenu : les PaymentIntents, si souvent qu’ils aient été tentés, et les charges faites sans eux."
grain = ["account", "livemode", "id"]
needs = ["metrics.stg_attempts", "stripe.payment_intents"]
*/
WITH tried AS (
  SELECT
    a.account AS account,
    a.livemode AS livemode,
    a.intent AS intent,
    count(*) FILTER (WHERE a.status = 'failed') AS failed,
    count(*) FILTER (WHERE a.status = 'succeeded') AS succeeded,
    arg_max(a.payment_method, (a.at, a.id)) AS payment_method,
    arg_max(a.country, (a.at, a.id)) AS country
  FROM metrics.stg_attempts AS a
  WHERE a.intent IS NOT NULL
  GROUP BY ALL
)
SELECT
  p.id AS id,
  p._account AS account,
  p._livemode AS livemode,
  p.currency AS currency,
  p.created AS at,
  CAST(p.created AT TIME ZONE $zone AS DATE) AS day,
  CAST(p.created AT TIME ZONE 'UTC' AS DATE) AS day_utc,
  CASE
    WHEN p.status = 'succeeded' THEN 'succeeded'
    WHEN p.status = 'requires_capture' THEN 'uncaptured'
    WHEN p.status IN ('processing', 'requires_action', 'requires_confirmation') THEN p.status
    WHEN p.status = 'canceled' AND COALESCE(t.succeeded, 0) > 0 THEN 'released'
    WHEN COALESCE(t.failed, 0) > 0 OR p.last_payment_error IS NOT NULL THEN 'failed'
    WHEN p.status = 'canceled' THEN 'canceled'
    ELSE 'unattempted'
  END AS outcome,
  'payment_intents' AS object,
  p.customer AS customer,
  COALESCE(t.payment_method, json_extract_string(p.last_payment_error, '$.payment_method.type')) AS payment_method,
  t.country AS country
FROM stripe.payment_intents AS p
LEFT JOIN tried AS t ON t.intent = p.id AND t.account = p._account AND t.livemode = p._livemode
WHERE p._deleted_at IS NULL
UNION ALL
SELECT
  a.id AS id,
  a.account AS account,
  a.livemode AS livemode,
  a.currency AS currency,
  a.at AS at,
  a.day AS day,
  a.day_utc AS day_utc,
  CASE
    WHEN a.status = 'failed' THEN 'failed'
    WHEN a.status = 'pending' THEN 'processing'
    WHEN a.captured > 0 THEN 'succeeded'
    ELSE 'uncaptured'
  END AS outcome,
  'charges' AS object,
  a.customer AS customer,
  a.payment_method AS payment_method,
  a.country AS country
FROM metrics.stg_attempts AS a
WHERE a.intent IS NULL
