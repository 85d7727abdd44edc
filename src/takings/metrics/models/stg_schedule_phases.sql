/*
kind = "staging"
meaning.en = "What each state of a subscription schedule says of its phases, and from when to when that was known. The first state seen stands for the time since the schedule was made."
meaning.fr = "Ce que chaque état d’un échéancier d’abonnement dit de ses phases, et de quand à quand c’était connu. Le premier état vu vaut depuis la création de l’échéancier."
grain = ["account", "livemode", "schedule", "since", "place"]
needs = ["metrics.stg_prices", "raw.versions"]
*/
WITH seen AS (
  SELECT
    v.account AS account,
    v.livemode AS livemode,
    v.id AS schedule,
    v.as_of AS as_of,
    from_json(v.payload, '{
      "status": "VARCHAR", "customer": "JSON", "subscription": "JSON", "created": "BIGINT", "end_behavior": "VARCHAR",
      "phases": [{
        "start_date": "BIGINT", "end_date": "BIGINT", "trial_end": "BIGINT", "currency": "VARCHAR",
        "discounts": [{"coupon": "JSON", "discount": "JSON", "promotion_code": "JSON"}],
        "default_tax_rates": [{"inclusive": "BOOLEAN", "percentage": "DOUBLE"}],
        "items": [{
          "price": "JSON", "quantity": "BIGINT", "discounts": [{"coupon": "JSON", "discount": "JSON", "promotion_code": "JSON"}],
          "tax_rates": [{"inclusive": "BOOLEAN", "percentage": "DOUBLE"}]
        }]
      }]
    }') AS s
  FROM raw.versions AS v
  WHERE v.resource = 'subscription_schedules' AND NOT v.deleted
  QUALIFY row_number() OVER (PARTITION BY v.account, v.livemode, v.id, v.as_of ORDER BY v.hash DESC) = 1
),
held AS (
  SELECT s.*,
    row_number() OVER by_time = 1 AS first,
    coalesce(lead(s.as_of) OVER by_time, TIMESTAMPTZ '9999-12-31 00:00:00+00') AS until
  FROM seen AS s
  WINDOW by_time AS (PARTITION BY s.account, s.livemode, s.schedule ORDER BY s.as_of)
),
-- One that was released, called off or is over decides nothing any more.
placed AS (
  SELECT h.*, unnest(range(1, len(h.s.phases) + 1)) AS place
  FROM held AS h
  WHERE h.s.status IN ('not_started', 'active')
),
phases AS (
  SELECT p.*, p.s.phases[p.place] AS phase, p.place = len(p.s.phases) AS last
  FROM placed AS p
),
-- A phase whose prices are not all known here cannot be said the worth of.
unknown AS (
  SELECT DISTINCT u.account AS account, u.livemode AS livemode, u.schedule AS schedule, u.until AS until, u.place AS place
  FROM (
    SELECT p.account AS account, p.livemode AS livemode, p.schedule AS schedule, p.until AS until, p.place AS place,
      unnest(list_transform(p.phase.items, lambda i: coalesce(json_extract_string(i.price, '$.id'), json_extract_string(i.price, '$')))) AS price
    FROM phases AS p
  ) AS u
  ANTI JOIN metrics.stg_prices AS k ON k.account = u.account AND k.livemode = u.livemode AND k.price = u.price
)
SELECT
  p.account AS account,
  p.livemode AS livemode,
  p.schedule AS schedule,
  CASE WHEN p.first THEN least(to_timestamp(p.s.created), p.as_of) ELSE p.as_of END AS since,
  p.until AS until,
  p.as_of AS as_of,
  p.place AS place,
  CASE WHEN json_type(p.s.subscription) = 'OBJECT' THEN json_extract_string(p.s.subscription, '$.id') ELSE json_extract_string(p.s.subscription, '$') END AS subscription,
  CASE WHEN json_type(p.s.customer) = 'OBJECT' THEN json_extract_string(p.s.customer, '$.id') ELSE json_extract_string(p.s.customer, '$') END AS customer,
  p.phase.currency AS currency,
  to_timestamp(p.phase.start_date) AS starts,
  to_timestamp(p.phase.end_date) AS ends,
  p.last AND p.s.end_behavior = 'cancel' AS cancels,
  p.phase.trial_end IS NOT NULL AS on_trial,
  x.place IS NULL AS priced,
  list_transform(p.phase.discounts, lambda d: {
    'coupon': coalesce(json_extract_string(d.coupon, '$.id'), json_extract_string(d.coupon, '$')),
    'discount': coalesce(json_extract_string(d.discount, '$.id'), json_extract_string(d.discount, '$')),
    'code': coalesce(json_extract_string(d.promotion_code, '$.id'), json_extract_string(d.promotion_code, '$'))
  }) AS discounts,
  list_transform(p.phase.items, lambda i: {
    'price': coalesce(json_extract_string(i.price, '$.id'), json_extract_string(i.price, '$')),
    'quantity': coalesce(i.quantity, 1),
    'taxes': list_transform(list_filter(CASE WHEN len(i.tax_rates) > 0 THEN i.tax_rates ELSE p.phase.default_tax_rates END, lambda r: r.inclusive), lambda r: r.percentage),
    'discounts': list_transform(i.discounts, lambda d: {
      'coupon': coalesce(json_extract_string(d.coupon, '$.id'), json_extract_string(d.coupon, '$')),
      'discount': coalesce(json_extract_string(d.discount, '$.id'), json_extract_string(d.discount, '$')),
      'code': coalesce(json_extract_string(d.promotion_code, '$.id'), json_extract_string(d.promotion_code, '$'))
    })
  }) AS items
FROM phases AS p
LEFT JOIN unknown AS x
  ON x.account = p.account AND x.livemode = p.livemode AND x.schedule = p.schedule AND x.until = p.until AND x.place = p.place
