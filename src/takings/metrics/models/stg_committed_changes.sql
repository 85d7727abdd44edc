/*
kind = "staging"
meaning.en = "By how much each thing that is decided of a subscription will change its MRR, from the moment it was known until it came or was called off."
meaning.fr = "De combien chaque chose décidée d’un abonnement changera son MRR, du moment où elle a été connue jusqu’à ce qu’elle advienne ou soit annulée."
grain = ["account", "livemode", "id"]
needs = ["metrics.stg_committed_answers", "metrics.stg_committed_steps", "stripe.customers"]
*/
WITH levels AS (
  SELECT u.account AS account, u.livemode AS livemode, u.contract AS contract, u.at AS at, u.due AS due, u.held.price AS price,
    any_value(u.held.product) AS product, any_value(u.held."interval") AS billing_interval, CAST(sum(coalesce(u.net, 0)) AS BIGINT) AS net
  FROM (
    SELECT s.account AS account, s.livemode AS livemode, s.contract AS contract, s.at AS at, s.due AS due, unnest(s.items) AS held, unnest(a.net) AS net
    FROM metrics.stg_committed_steps AS s
    JOIN metrics.stg_committed_answers AS a ON a.question = s.question
  ) AS u
  GROUP BY 1, 2, 3, 4, 5, 6
),
known AS (
  SELECT l.account AS account, l.livemode AS livemode, l.contract AS contract, l.at AS at, l.price AS price, any_value(l.product) AS product,
    any_value(l.billing_interval) AS billing_interval
  FROM levels AS l
  GROUP BY 1, 2, 3, 4, 5
),
steps AS (
  SELECT s.*, k.price AS price, k.product AS product, k.billing_interval AS billing_interval,
    coalesce(l.net, 0) - coalesce(lag(coalesce(l.net, 0)) OVER (PARTITION BY s.account, s.livemode, s.contract, s.at, k.price ORDER BY s.due), 0) AS amount
  FROM metrics.stg_committed_steps AS s
  JOIN known AS k ON k.account = s.account AND k.livemode = s.livemode AND k.contract = s.contract AND k.at = s.at
  LEFT JOIN levels AS l
    ON l.account = s.account AND l.livemode = s.livemode AND l.contract = s.contract AND l.at = s.at AND l.due = s.due AND l.price = k.price
),
signed AS (
  SELECT s.*, s.at AS moment, s.amount AS change FROM steps AS s WHERE s.kind <> 'now'
  UNION ALL
  SELECT s.*, s.next_at AS moment, -s.amount AS change FROM steps AS s WHERE s.kind <> 'now' AND s.next_at IS NOT NULL
),
changes AS (
  SELECT s.account AS account, s.livemode AS livemode, s.contract AS contract, s.subscription AS subscription, s.currency AS currency, s.price AS price,
    s.kind AS kind, s.object AS object, s.source AS source, s.due AS due, s.moment AS at, arg_max(s.customer, s.at) AS customer,
    arg_max(s.product, s.at) AS product, arg_max(s.billing_interval, s.at) AS billing_interval, bool_or(s.reconstructed) AS reconstructed,
    CAST(sum(s.change) AS BIGINT) AS amount
  FROM signed AS s
  GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
  HAVING sum(s.change) <> 0
)
SELECT
  c.contract || ':' || c.price || ':' || c.kind || ':' || c.source || ':' || CAST(epoch_us(c.due) AS VARCHAR) || ':' || CAST(epoch_us(c.at) AS VARCHAR) AS id,
  c.account AS account,
  c.livemode AS livemode,
  c.currency AS currency,
  c.at AS at,
  CAST(c.at AT TIME ZONE $zone AS DATE) AS day,
  CAST(c.at AT TIME ZONE 'UTC' AS DATE) AS day_utc,
  c.kind AS kind,
  c.amount AS amount,
  c.object AS object,
  c.source AS source,
  c.customer AS customer,
  c.subscription AS subscription,
  c.price AS price,
  c.product AS product,
  c.billing_interval AS billing_interval,
  CASE WHEN c.due < TIMESTAMPTZ '9998-01-01 00:00:00+00' THEN strftime(c.due AT TIME ZONE $zone, '%Y-%m') END AS due,
  CASE WHEN c.reconstructed THEN 'reconstructed' ELSE 'observed' END AS basis,
  json_extract_string(u.address, '$.country') AS country
FROM changes AS c
LEFT JOIN stripe.customers AS u ON u.id = c.customer AND u._account = c.account AND u._livemode = c.livemode
