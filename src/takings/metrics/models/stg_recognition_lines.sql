/*
kind = "staging"
meaning.en = "All that earns revenue: invoice lines, shipping, what an invoice asks beyond its lines, payments without an invoice, and invoice items that wait for theirs."
meaning.fr = "Tout ce qui rapporte : lignes de facture, livraison, ce qu’une facture demande au-delà de ses lignes, paiements sans facture, et éléments en attente de la leur."
grain = ["account", "livemode", "id"]
needs = [
  "metrics.stg_recognition_payments", "stripe.charges", "stripe.checkout_sessions", "stripe.invoice_line_items",
  "stripe.invoiceitems", "stripe.invoices"
]
*/
WITH invoices AS (
  SELECT
    i.id AS id,
    i._account AS account,
    i._livemode AS livemode,
    i.currency AS currency,
    i.customer AS customer,
    json_extract_string(i.parent, '$.subscription_details.subscription') AS subscription,
    i.total AS total,
    COALESCE(
      to_timestamp(CAST(json_extract_string(i.status_transitions, '$.finalized_at') AS BIGINT)), i.effective_at, i.created
    ) AS finalized_at,
    COALESCE(CAST(json_extract_string(i.shipping_cost, '$.amount_total') AS BIGINT), 0) AS shipping,
    COALESCE(CAST(json_extract_string(i.shipping_cost, '$.amount_tax') AS BIGINT), 0) AS shipping_tax,
    COALESCE(list_sum(list_transform(json_extract(i.total_taxes, '$[*].amount'), lambda x: CAST(x AS BIGINT))), 0) AS taxes
  FROM stripe.invoices AS i
  WHERE i.status <> 'draft' AND i._deleted_at IS NULL
),
read_lines AS (
  SELECT
    l.id AS id,
    l._account AS account,
    l._livemode AS livemode,
    l.invoice AS invoice,
    l.amount AS amount,
    COALESCE(l.subscription, json_extract_string(l.parent, '$.subscription_item_details.subscription')) AS subscription,
    json_extract_string(l.pricing, '$.price_details.product') AS product,
    json_extract_string(l.pricing, '$.price_details.price') AS price,
    COALESCE(
      json_extract_string(l.parent, '$.invoice_item_details.invoice_item'),
      json_extract_string(l.parent, '$.subscription_item_details.invoice_item')
    ) AS item,
    to_timestamp(CAST(json_extract_string(l.period, '$.start') AS BIGINT)) AS starts,
    to_timestamp(CAST(json_extract_string(l.period, '$.end') AS BIGINT)) AS ends,
    COALESCE(list_sum(list_transform(json_extract(l.discount_amounts, '$[*].amount'), lambda x: CAST(x AS BIGINT))), 0)
    + COALESCE(list_sum(list_transform(
      list_filter(
        from_json(l.pretax_credit_amounts, '[{"amount": "BIGINT", "type": "VARCHAR"}]'),
        lambda x: x.type = 'credit_balance_transaction'
      ),
      lambda x: x.amount
    )), 0) AS off,
    from_json(l.taxes, '[{"amount": "BIGINT", "tax_behavior": "VARCHAR"}]') AS taxes
  FROM stripe.invoice_line_items AS l
  WHERE l._deleted_at IS NULL
),
lines AS (
  SELECT
    l.*,
    COALESCE(list_sum(list_transform(l.taxes, lambda x: x.amount)), 0) AS tax,
    COALESCE(list_sum(list_transform(
      list_filter(l.taxes, lambda x: x.tax_behavior = 'inclusive'), lambda x: x.amount
    )), 0) AS within
  FROM read_lines AS l
),
billed AS (
  SELECT
    l.id AS id,
    i.account AS account,
    i.livemode AS livemode,
    i.id AS bill,
    i.currency AS currency,
    i.customer AS customer,
    COALESCE(l.subscription, i.subscription) AS subscription,
    l.product AS product,
    l.price AS price,
    l.item AS item,
    'invoice_line_items' AS object,
    l.id AS source,
    l.amount - l.off - l.within AS net,
    l.tax AS tax,
    l.starts AS starts,
    l.ends AS ends,
    i.finalized_at AS finalized_at
  FROM lines AS l
  JOIN invoices AS i ON i.id = l.invoice AND i.account = l.account AND i.livemode = l.livemode
),
summed AS (
  SELECT b.account AS account, b.livemode AS livemode, b.bill AS bill, SUM(b.net + b.tax) AS gross, SUM(b.tax) AS tax
  FROM billed AS b
  GROUP BY 1, 2, 3
),
beside AS (
  SELECT i.*, a.arm AS arm,
    CASE WHEN a.arm = 'shipping' THEN i.shipping - i.shipping_tax
      ELSE i.total - i.shipping - COALESCE(s.gross, 0) - (i.taxes - i.shipping_tax - COALESCE(s.tax, 0)) END AS net,
    CASE WHEN a.arm = 'shipping' THEN i.shipping_tax
      ELSE i.taxes - i.shipping_tax - COALESCE(s.tax, 0) END AS tax
  FROM invoices AS i
  LEFT JOIN summed AS s ON s.bill = i.id AND s.account = i.account AND s.livemode = i.livemode
  CROSS JOIN (SELECT 'shipping' AS arm UNION ALL SELECT 'rest' AS arm) AS a
),
taxed AS (
  SELECT
    x._account AS account,
    x._livemode AS livemode,
    x.payment_intent AS intent,
    MAX(CAST(json_extract_string(x.total_details, '$.amount_tax') AS BIGINT)) AS tax
  FROM stripe.checkout_sessions AS x
  WHERE x.mode = 'payment' AND x.payment_intent IS NOT NULL AND x._deleted_at IS NULL
  GROUP BY 1, 2, 3
),
alone AS (
  SELECT
    p.*,
    CASE
      WHEN p.category = 'charge'
        AND row_number() OVER (PARTITION BY p.account, p.livemode, p.charge, p.category ORDER BY p.at, p.id) = 1
        THEN LEAST(COALESCE(x.tax, 0), p.amount)
      ELSE 0
    END AS tax
  FROM metrics.stg_recognition_payments AS p
  LEFT JOIN stripe.charges AS c ON c.id = p.charge AND c._account = p.account AND c._livemode = p.livemode
  LEFT JOIN taxed AS x ON x.intent = c.payment_intent AND x.account = p.account AND x.livemode = p.livemode
  WHERE NOT p.invoiced AND p.category IN ('charge', 'charge_failure', 'partial_capture_reversal')
),
waiting AS (
  SELECT
    n.id AS id,
    n._account AS account,
    n._livemode AS livemode,
    n.currency AS currency,
    n.customer AS customer,
    json_extract_string(n.parent, '$.subscription_details.subscription') AS subscription,
    json_extract_string(n.pricing, '$.price_details.product') AS product,
    json_extract_string(n.pricing, '$.price_details.price') AS price,
    COALESCE(n.net_amount, n.amount) AS net,
    to_timestamp(CAST(json_extract_string(n.period, '$.start') AS BIGINT)) AS starts,
    to_timestamp(CAST(json_extract_string(n.period, '$.end') AS BIGINT)) AS ends,
    n.date AS created,
    n._deleted_at AS gone_at
  FROM stripe.invoiceitems AS n
  WHERE NOT EXISTS (
    SELECT 1 FROM billed AS b WHERE b.item = n.id AND b.account = n._account AND b.livemode = n._livemode
  )
)
SELECT
  b.id AS id, b.account AS account, b.livemode AS livemode, b.bill AS bill, b.currency AS currency,
  b.customer AS customer, b.subscription AS subscription, b.product AS product, b.price AS price,
  b.object AS object, b.source AS source, CAST(b.net AS BIGINT) AS net, CAST(b.tax AS BIGINT) AS tax,
  CASE WHEN b.starts < b.ends THEN b.starts END AS starts,
  CASE WHEN b.starts < b.ends THEN b.ends END AS ends,
  b.finalized_at AS finalized_at,
  LEAST(b.finalized_at, COALESCE(n.date, b.finalized_at)) AS booked_at,
  CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS gone_at,
  'invoice_finalized' AS event
FROM billed AS b
LEFT JOIN stripe.invoiceitems AS n ON n.id = b.item AND n._account = b.account AND n._livemode = b.livemode
UNION ALL
SELECT
  i.id || ':' || i.arm AS id, i.account AS account, i.livemode AS livemode, i.id AS bill, i.currency AS currency,
  i.customer AS customer, i.subscription AS subscription, CAST(NULL AS VARCHAR) AS product, CAST(NULL AS VARCHAR) AS price,
  'invoices' AS object, i.id AS source, CAST(i.net AS BIGINT) AS net, CAST(i.tax AS BIGINT) AS tax,
  CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS starts,
  CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS ends,
  i.finalized_at AS finalized_at,
  i.finalized_at AS booked_at,
  CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS gone_at,
  'invoice_finalized' AS event
FROM beside AS i
WHERE i.net <> 0 OR i.tax <> 0
UNION ALL
SELECT
  p.id AS id, p.account AS account, p.livemode AS livemode, p.bill AS bill, p.currency AS currency,
  p.customer AS customer, CAST(NULL AS VARCHAR) AS subscription, CAST(NULL AS VARCHAR) AS product,
  CAST(NULL AS VARCHAR) AS price, p.object AS object, p.source AS source,
  CAST(p.amount - p.tax AS BIGINT) AS net, CAST(p.tax AS BIGINT) AS tax,
  CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS starts,
  CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS ends,
  p.at AS finalized_at,
  p.at AS booked_at,
  CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS gone_at,
  'payment' AS event
FROM alone AS p
UNION ALL
SELECT
  n.id AS id, n.account AS account, n.livemode AS livemode, n.id AS bill, n.currency AS currency,
  n.customer AS customer, n.subscription AS subscription, n.product AS product, n.price AS price,
  'invoiceitems' AS object, n.id AS source,
  CAST(CASE
    WHEN n.gone_at < n.ends
      THEN CAST(n.net AS HUGEINT) * (CAST(epoch(n.gone_at) AS BIGINT) - CAST(epoch(n.starts) AS BIGINT))
        // (CAST(epoch(n.ends) AS BIGINT) - CAST(epoch(n.starts) AS BIGINT))
    ELSE n.net
  END AS BIGINT) AS net,
  CAST(0 AS BIGINT) AS tax,
  n.starts AS starts,
  LEAST(n.ends, date_trunc('second', COALESCE(n.gone_at, n.ends))) AS ends,
  CAST(NULL AS TIMESTAMP WITH TIME ZONE) AS finalized_at,
  n.created AS booked_at,
  n.gone_at AS gone_at,
  'invoiceitem' AS event
FROM waiting AS n
WHERE n.starts < n.ends AND (n.gone_at IS NULL OR n.gone_at >= n.starts + INTERVAL 1 SECOND)
