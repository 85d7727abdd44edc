/*
kind = "staging"
meaning.en = "What metered items were invoiced for each whole billing period, less discounts and without tax, from when to when that is the last that is known. Periods that were cut short, drafts and void invoices are left out."
meaning.fr = "Ce qui a été facturé des éléments à la consommation pour chaque période de facturation entière, moins les réductions et sans taxe, de quand à quand c’est le dernier montant connu. Les périodes écourtées, les brouillons et les factures annulées sont laissés de côté."
grain = ["account", "livemode", "item", "since"]
needs = ["metrics.stg_issued_invoices", "metrics.stg_prices", "stripe.invoice_line_items"]
*/
WITH read AS (
  SELECT
    l._account AS account,
    l._livemode AS livemode,
    l.invoice AS invoice,
    l.amount AS amount,
    from_json(l.parent, '{"subscription_item_details": {"subscription": "VARCHAR", "subscription_item": "VARCHAR", "proration": "BOOLEAN"}}') AS p,
    from_json(l.period, '{"start": "BIGINT", "end": "BIGINT"}') AS t,
    from_json(l.discount_amounts, '[{"amount": "BIGINT"}]') AS discounts,
    from_json(l.taxes, '[{"amount": "BIGINT", "tax_behavior": "VARCHAR"}]') AS taxes,
    json_extract_string(l.pricing, '$.price_details.price') AS price
  FROM stripe.invoice_line_items AS l
  WHERE l._deleted_at IS NULL
),
lines AS (
  SELECT
    r.account AS account, r.livemode AS livemode, r.invoice AS invoice, r.price AS price,
    r.p.subscription_item_details.subscription AS subscription, r.p.subscription_item_details.subscription_item AS item,
    to_timestamp(r.t."start") AS since, to_timestamp(r.t."end") AS until,
    k."interval" AS "interval", k.interval_count AS interval_count,
    r.amount - coalesce(list_sum(list_transform(r.discounts, lambda d: d.amount)), 0)
      - coalesce(list_sum(list_transform(list_filter(r.taxes, lambda x: x.tax_behavior = 'inclusive'), lambda x: x.amount)), 0) AS amount
  FROM read AS r
  JOIN metrics.stg_prices AS k ON k.account = r.account AND k.livemode = r.livemode AND k.price = r.price AND k.usage_type = 'metered'
  WHERE r.p.subscription_item_details.subscription_item IS NOT NULL AND NOT coalesce(r.p.subscription_item_details.proration, FALSE)
),
-- Each tier has a line of its own: together they are the item.
whole AS (
  SELECT l.account AS account, l.livemode AS livemode, l.subscription AS subscription, l.item AS item, l.since AS since, l.until AS until,
    l.price AS price, l.invoice AS invoice, greatest(i.finalized_at, l.until) AS at, i.currency AS currency, l."interval" AS "interval",
    l.interval_count AS interval_count, CAST(sum(l.amount) AS BIGINT) AS amount
  FROM lines AS l
  JOIN metrics.stg_issued_invoices AS i ON i.account = l.account AND i.livemode = l.livemode AND i.id = l.invoice AND i.status <> 'void'
  WHERE (l.until AT TIME ZONE 'UTC') + INTERVAL 1 HOUR >= (l.since AT TIME ZONE 'UTC') + CASE l."interval"
    WHEN 'year' THEN to_years(CAST(l.interval_count AS INTEGER))
    WHEN 'month' THEN to_months(CAST(l.interval_count AS INTEGER))
    WHEN 'week' THEN to_days(CAST(7 * l.interval_count AS INTEGER))
    ELSE to_days(CAST(l.interval_count AS INTEGER))
  END
  GROUP BY ALL
),
last_said AS (
  SELECT w.*
  FROM whole AS w
  QUALIFY row_number() OVER (PARTITION BY w.account, w.livemode, w.item, w.since ORDER BY w.at DESC, w.invoice, w.price) = 1
)
SELECT
  s.account AS account,
  s.livemode AS livemode,
  s.subscription AS subscription,
  s.item AS item,
  s.since AS since,
  s.until AS until,
  s.price AS price,
  s.invoice AS invoice,
  s.amount AS amount,
  s.at AS known_from,
  coalesce(min(s.at) OVER later, TIMESTAMPTZ '9999-12-31 00:00:00+00') AS known_until,
  '{"settled":true,"currency":"' || s.currency || '","unit_amount":' || CAST(s.amount AS VARCHAR)
    || ',"interval":"' || s."interval" || '","count":' || CAST(s.interval_count AS VARCHAR) || '}' AS facts
FROM last_said AS s
WINDOW later AS (PARTITION BY s.account, s.livemode, s.item ORDER BY s.since ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING)
