/*
kind = "staging"
meaning.en = "What each recurring price says of money, in the words of Stripe's API; those that no list gives, too."
meaning.fr = "Ce que chaque prix récurrent dit de l’argent, dans les mots de l’API de Stripe ; aussi ceux qu’aucune liste ne donne."
grain = ["account", "livemode", "price"]
needs = ["stripe.prices", "stripe.subscription_items"]
*/
WITH known AS (
  SELECT
    p._account AS account, p._livemode AS livemode, p.id AS price, p.product AS product, p.currency AS currency,
    CAST(p.recurring AS VARCHAR) AS recurring, p.tiers_mode AS tiers_mode, CAST(p.tiers AS VARCHAR) AS tiers,
    CAST(p.transform_quantity AS VARCHAR) AS transform, CAST(p.currency_options AS VARCHAR) AS options,
    p.unit_amount AS unit_amount, CAST(p.unit_amount_decimal AS VARCHAR) AS unit_amount_decimal, 1 AS rank
  FROM stripe.prices AS p
  UNION ALL
  SELECT
    i._account AS account, i._livemode AS livemode, json_extract_string(i.price, '$.id') AS price,
    json_extract_string(i.price, '$.product') AS product, json_extract_string(i.price, '$.currency') AS currency,
    json_extract_string(i.price, '$.recurring') AS recurring, json_extract_string(i.price, '$.tiers_mode') AS tiers_mode,
    json_extract_string(i.price, '$.tiers') AS tiers, json_extract_string(i.price, '$.transform_quantity') AS transform,
    json_extract_string(i.price, '$.currency_options') AS options, CAST(json_extract_string(i.price, '$.unit_amount') AS BIGINT) AS unit_amount,
    json_extract_string(i.price, '$.unit_amount_decimal') AS unit_amount_decimal, 2 AS rank
  FROM (
    SELECT * FROM stripe.subscription_items AS x
    WHERE NOT EXISTS (
      SELECT 1 AS one FROM stripe.prices AS p
      WHERE p.id = json_extract_string(x.price, '$.id') AND p._account = x._account AND p._livemode = x._livemode
    )
  ) AS i
)
SELECT
  k.account AS account,
  k.livemode AS livemode,
  k.price AS price,
  k.product AS product,
  k.currency AS currency,
  json_extract_string(k.recurring, '$.interval') AS "interval",
  CAST(json_extract_string(k.recurring, '$.interval_count') AS BIGINT) AS interval_count,
  json_extract_string(k.recurring, '$.usage_type') AS usage_type,
  json_object(
    'product', k.product,
    'currency', k.currency,
    'unit_amount', k.unit_amount,
    'unit_amount_decimal', k.unit_amount_decimal,
    'interval', json_extract_string(k.recurring, '$.interval'),
    'count', CAST(json_extract_string(k.recurring, '$.interval_count') AS BIGINT),
    'transform', CAST(k.transform AS JSON),
    'tiers_mode', k.tiers_mode,
    'tiers', CAST(k.tiers AS JSON),
    'options', CAST(k.options AS JSON)
  ) AS facts
FROM known AS k
WHERE json_extract_string(k.recurring, '$.interval') IS NOT NULL
QUALIFY row_number() OVER (PARTITION BY k.account, k.livemode, k.price ORDER BY k.rank, k.unit_amount_decimal) = 1
