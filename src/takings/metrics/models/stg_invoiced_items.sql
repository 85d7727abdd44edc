/*
kind = "staging"
meaning.en = "What invoices say of the items of subscriptions: price and quantity, from when to when, and whether time was credited."
meaning.fr = "Ce que les factures disent des éléments d’abonnements : prix et quantité, de quand à quand, et si du temps a été crédité."
grain = ["account", "livemode", "subscription", "item", "since", "credit"]
needs = ["stripe.invoice_line_items", "stripe.invoices", "stripe.tax_rates"]
*/
WITH read AS (
  SELECT
    l._account AS account,
    l._livemode AS livemode,
    l.id AS id,
    l.invoice AS invoice,
    i.created AS created,
    l.amount AS amount,
    l.quantity AS quantity,
    l.discount_amounts AS discount_amounts,
    l.taxes AS taxes,
    from_json(l.parent, '{"subscription_item_details": {"subscription": "VARCHAR", "subscription_item": "VARCHAR", "proration": "BOOLEAN"}}') AS p,
    from_json(l.period, '{"start": "BIGINT", "end": "BIGINT"}') AS t,
    json_extract_string(l.pricing, '$.price_details.price') AS price
  FROM stripe.invoice_line_items AS l
  JOIN stripe.invoices AS i ON i.id = l.invoice AND i._account = l._account AND i._livemode = l._livemode
  WHERE l._deleted_at IS NULL
),
lines AS (
  SELECT
    r.account AS account,
    r.livemode AS livemode,
    r.p.subscription_item_details.subscription AS subscription,
    r.p.subscription_item_details.subscription_item AS item,
    coalesce(r.p.subscription_item_details.proration, FALSE) AS proration,
    coalesce(r.p.subscription_item_details.proration, FALSE) AND r.amount < 0 AS credit,
    to_timestamp(r.t."start") AS since,
    to_timestamp(r.t."end") AS until,
    r.invoice AS invoice,
    r.created AS created,
    r.price AS price,
    r.quantity AS quantity,
    r.discount_amounts AS discount_amounts,
    r.taxes AS taxes
  FROM read AS r
  WHERE r.p.subscription_item_details.subscription_item IS NOT NULL AND r.price IS NOT NULL AND r.t."start" IS NOT NULL
),
-- A tiered price has a line for each tier: together they are the item.
whole AS (
  SELECT
    l.account AS account, l.livemode AS livemode, l.subscription AS subscription, l.item AS item, l.since AS since, l.credit AS credit,
    l.invoice AS invoice, l.price AS price, max(l.created) AS created, max(l.until) AS until, bool_or(l.proration) AS proration,
    CAST(sum(l.quantity) AS BIGINT) AS quantity,
    flatten(list(json_extract_string(l.discount_amounts, '$[*].discount'))) AS discounts,
    flatten(list(json_extract_string(l.taxes, '$[*].tax_rate_details.tax_rate'))) AS rates
  FROM lines AS l
  GROUP BY ALL
),
-- The same time can be billed again, as after a void: what was billed last counts.
last_said AS (
  SELECT w.*
  FROM whole AS w
  QUALIFY row_number() OVER (
    PARTITION BY w.account, w.livemode, w.subscription, w.item, w.since, w.credit ORDER BY w.created DESC, w.proration, w.invoice, w.price
  ) = 1
),
inclusive AS (
  SELECT b.account AS account, b.livemode AS livemode, b.invoice AS invoice, b.item AS item, b.since AS since, list(DISTINCT x.percentage ORDER BY x.percentage) AS taxes
  FROM (SELECT w.account AS account, w.livemode AS livemode, w.invoice AS invoice, w.item AS item, w.since AS since, unnest(w.rates) AS rate FROM last_said AS w) AS b
  JOIN stripe.tax_rates AS x ON x.id = b.rate AND x._account = b.account AND x._livemode = b.livemode AND x.inclusive
  GROUP BY 1, 2, 3, 4, 5
)
SELECT
  s.account AS account,
  s.livemode AS livemode,
  s.subscription AS subscription,
  s.item AS item,
  s.since AS since,
  s.until AS until,
  s.credit AS credit,
  s.proration AS proration,
  s.invoice AS invoice,
  s.price AS price,
  s.quantity AS quantity,
  list_sort(list_distinct(s.discounts)) AS discounts,
  n.taxes AS taxes
FROM last_said AS s
LEFT JOIN inclusive AS n ON n.account = s.account AND n.livemode = s.livemode AND n.invoice = s.invoice AND n.item = s.item AND n.since = s.since
