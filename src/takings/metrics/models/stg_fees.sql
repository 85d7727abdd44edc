/*
kind = "staging"
meaning.en = "The fee of each balance transaction, part by part as Stripe gives them; a rest that no part explains is a part of its own."
meaning.fr = "Les frais de chaque transaction du solde, part par part comme Stripe les donne ; un reste qu’aucune part n’explique est une part à lui seul."
grain = ["account", "livemode", "id"]
needs = ["metrics.stg_transactions", "stripe.balance_transactions"]
*/
WITH detail AS (
  SELECT
    t.id AS source,
    t._account AS account,
    t._livemode AS livemode,
    u.place AS place,
    json_extract_string(u.item, '$.type') AS type,
    CAST(json_extract_string(u.item, '$.amount') AS BIGINT) AS amount
  FROM stripe.balance_transactions AS t
  CROSS JOIN UNNEST(CAST(t.fee_details AS JSON[])) WITH ORDINALITY AS u(item, place)
  WHERE t._deleted_at IS NULL
),
known AS (
  SELECT
    d.source AS source,
    d.account AS account,
    d.livemode AS livemode,
    d.source || ':' || d.place AS id,
    COALESCE(d.type, 'unknown') AS type,
    d.amount AS amount
  FROM detail AS d
  UNION ALL
  SELECT
    t.id AS source,
    t.account AS account,
    t.livemode AS livemode,
    t.id || ':rest' AS id,
    'unknown' AS type,
    t.fee - COALESCE(s.amount, 0) AS amount
  FROM metrics.stg_transactions AS t
  LEFT JOIN (
    SELECT d.source AS source, d.account AS account, d.livemode AS livemode, SUM(d.amount) AS amount FROM detail AS d GROUP BY ALL
  ) AS s ON s.source = t.id AND s.account = t.account AND s.livemode = t.livemode
  UNION ALL
  SELECT
    t.id AS source,
    t.account AS account,
    t.livemode AS livemode,
    t.id AS id,
    t.category AS type,
    -t.amount AS amount
  FROM metrics.stg_transactions AS t
  WHERE t.category IN ('fee', 'network_cost', 'tax')
)
SELECT
  k.id AS id,
  k.account AS account,
  k.livemode AS livemode,
  t.currency AS currency,
  t.at AS at,
  t.day AS day,
  t.day_utc AS day_utc,
  k.type AS type,
  CAST(k.amount AS BIGINT) AS amount,
  k.source AS source,
  t.category AS category,
  t.customer AS customer,
  t.payment_method AS payment_method,
  t.country AS country
FROM known AS k
INNER JOIN metrics.stg_transactions AS t ON t.id = k.source AND t.account = k.account AND t.livemode = k.livemode
