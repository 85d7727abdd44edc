/*
kind = "staging"
meaning.en = "Every state of every subscription that was seen, and from when to when it held. The first one stands for all the time before, too."
meaning.fr = "Chaque état de chaque abonnement qui a été vu, et de quand à quand il valait. Le premier vaut aussi pour tout le temps d’avant."
grain = ["account", "livemode", "subscription", "since"]
needs = ["raw.versions", "stripe.invoices"]
*/
WITH seen AS (
  SELECT
    v.account AS account,
    v.livemode AS livemode,
    v.id AS subscription,
    v.as_of AS as_of,
    from_json(v.payload, '{
      "status": "VARCHAR", "customer": "JSON", "currency": "VARCHAR", "created": "BIGINT", "start_date": "BIGINT",
      "trial_start": "BIGINT", "trial_end": "BIGINT", "canceled_at": "BIGINT", "ended_at": "BIGINT", "cancel_at": "BIGINT",
      "cancel_at_period_end": "BOOLEAN", "current_period_end": "BIGINT", "latest_invoice": "JSON", "pause_collection": {"behavior": "VARCHAR", "resumes_at": "BIGINT"},
      "cancellation_details": {"reason": "VARCHAR"}, "discounts": ["JSON"], "discount": {"id": "VARCHAR"},
      "default_tax_rates": [{"inclusive": "BOOLEAN", "percentage": "DOUBLE"}],
      "items": {"has_more": "BOOLEAN", "data": [{
        "id": "VARCHAR", "created": "BIGINT", "quantity": "BIGINT", "price": {"id": "VARCHAR"}, "discounts": ["JSON"],
        "current_period_end": "BIGINT", "tax_rates": [{"inclusive": "BOOLEAN", "percentage": "DOUBLE"}]
      }]}
    }') AS s
  FROM raw.versions AS v
  WHERE v.resource = 'subscriptions' AND NOT v.deleted
  QUALIFY row_number() OVER (PARTITION BY v.account, v.livemode, v.id, v.as_of ORDER BY v.hash DESC) = 1
),
gone AS (
  SELECT v.account AS account, v.livemode AS livemode, v.id AS subscription, max(v.as_of) AS at
  FROM raw.versions AS v
  WHERE v.resource = 'subscriptions' AND v.deleted
  GROUP BY 1, 2, 3
),
placed AS (
  SELECT
    s.*,
    row_number() OVER by_time AS place,
    CASE WHEN row_number() OVER by_time = 1 THEN json_extract_string(s.s.latest_invoice, '$') END AS invoice,
    coalesce(lead(s.as_of) OVER by_time, TIMESTAMPTZ '9999-12-31 00:00:00+00') AS until
  FROM seen AS s
  WINDOW by_time AS (PARTITION BY s.account, s.livemode, s.subscription ORDER BY s.as_of)
),
-- What the first state seen does not say is since when it stood so; its last invoice does, where it is about payment.
turned AS (
  SELECT
    p.*,
    CASE
      WHEN p.s.status = 'unpaid' THEN coalesce(
        to_timestamp(CAST(json_extract_string(i.status_transitions, '$.marked_uncollectible_at') AS BIGINT)), i.created, p.as_of
      )
      WHEN p.s.status = 'past_due' THEN coalesce(i.created, p.as_of)
      ELSE p.as_of
    END AS turn
  FROM placed AS p
  LEFT JOIN stripe.invoices AS i ON i.id = p.invoice AND i._account = p.account AND i._livemode = p.livemode
),
split AS (
  SELECT
    t.*,
    t.place = 1 AS first,
    t.place = 1 AND (t.s.status IN ('unpaid', 'past_due') OR t.s.pause_collection.behavior IS NOT NULL) AS turns
  FROM turned AS t
),
held AS (
  SELECT p.*, TRUE AS early, TIMESTAMPTZ '1970-01-01 00:00:00+00' AS since, CASE WHEN p.turns THEN least(p.turn, p.as_of) ELSE p.until END AS till
  FROM split AS p
  WHERE p.first
  UNION ALL
  SELECT p.*, FALSE AS early, CASE WHEN p.turns THEN least(p.turn, p.as_of) ELSE p.as_of END AS since, p.until AS till
  FROM split AS p
  WHERE NOT p.first OR p.turns
)
SELECT
  p.account AS account,
  p.livemode AS livemode,
  p.subscription AS subscription,
  p.place AS place,
  p.since AS since,
  p.till AS until,
  p.as_of AS as_of,
  CASE WHEN p.early AND p.s.status IN ('unpaid', 'past_due') THEN 'active' ELSE p.s.status END AS status,
  CASE WHEN NOT (p.early AND p.turns) THEN p.s.pause_collection.behavior END AS pause,
  to_timestamp(p.s.pause_collection.resumes_at) AS resumes_at,
  CASE WHEN json_type(p.s.customer) = 'OBJECT' THEN json_extract_string(p.s.customer, '$.id') ELSE json_extract_string(p.s.customer, '$') END AS customer,
  p.s.currency AS currency,
  to_timestamp(p.s.created) AS created,
  to_timestamp(coalesce(p.s.start_date, p.s.created)) AS start_at,
  to_timestamp(p.s.trial_start) AS trial_start,
  to_timestamp(p.s.trial_end) AS trial_end,
  to_timestamp(p.s.canceled_at) AS canceled_at,
  CASE WHEN p.s.status IN ('canceled', 'incomplete_expired') THEN to_timestamp(coalesce(p.s.ended_at, p.s.canceled_at)) END AS ended_at,
  to_timestamp(p.s.cancel_at) AS cancel_at,
  to_timestamp(coalesce(p.s.current_period_end, list_max(list_transform(p.s.items.data, lambda i: i.current_period_end)))) AS period_end,
  p.s.status NOT IN ('canceled', 'incomplete_expired') AND (p.s.cancel_at_period_end OR p.s.cancel_at IS NOT NULL) AS leaving,
  p.s.cancellation_details.reason AS cancellation,
  coalesce(
    list_transform(p.s.discounts, lambda d: CASE WHEN json_type(d) = 'OBJECT' THEN json_extract_string(d, '$.id') ELSE json_extract_string(d, '$') END),
    CASE WHEN p.s.discount.id IS NULL THEN [] ELSE [p.s.discount.id] END
  ) AS discounts,
  list_transform(list_filter(p.s.default_tax_rates, lambda r: r.inclusive), lambda r: r.percentage) AS taxes,
  coalesce(p.s.items.has_more, FALSE) AS more,
  list_transform(p.s.items.data, lambda i: {
    'id': i.id,
    'created': to_timestamp(i.created),
    'price': i.price.id,
    'quantity': i.quantity,
    'discounts': list_transform(i.discounts, lambda d: CASE WHEN json_type(d) = 'OBJECT' THEN json_extract_string(d, '$.id') ELSE json_extract_string(d, '$') END),
    'taxes': list_transform(list_filter(i.tax_rates, lambda r: r.inclusive), lambda r: r.percentage)
  }) AS items,
  p.till = TIMESTAMPTZ '9999-12-31 00:00:00+00' AS newest,
  CASE WHEN p.till = TIMESTAMPTZ '9999-12-31 00:00:00+00' AND g.at >= p.as_of THEN g.at END AS gone_at,
  min(p.as_of) OVER (PARTITION BY p.account, p.livemode, p.subscription) AS first_seen
FROM held AS p
LEFT JOIN gone AS g ON g.account = p.account AND g.livemode = p.livemode AND g.subscription = p.subscription
