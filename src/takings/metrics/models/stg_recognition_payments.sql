/*
kind = "staging"
meaning.en = "Each balance transaction with the invoices that its charge paid and its amount in their currency; and what was paid outside Stripe."
meaning.fr = "Chaque transaction du solde avec les factures que son paiement a réglées et son montant dans leur monnaie ; et ce qui a été payé hors de Stripe."
grain = ["account", "livemode", "id", "bill"]
needs = [
  "stripe.balance_transactions", "stripe.charges", "stripe.disputes", "stripe.invoice_payments", "stripe.invoices",
  "stripe.refunds"
]
*/
WITH moved AS (
  SELECT
    t.id AS id,
    t._account AS account,
    t._livemode AS livemode,
    t.created AS at,
    t.reporting_category AS category,
    t.currency AS settled_currency,
    t.amount AS settled,
    t.fee AS fee,
    c.id AS charge,
    c.payment_intent AS intent,
    c.customer AS customer,
    COALESCE(r.id, d.id, c.id, t.id) AS source,
    CASE
      WHEN r.id IS NOT NULL THEN 'refunds'
      WHEN d.id IS NOT NULL THEN 'disputes'
      WHEN c.id IS NOT NULL THEN 'charges'
      ELSE 'balance_transactions'
    END AS object,
    COALESCE(c.currency, t.currency) AS currency,
    CASE
      WHEN c.currency IS NULL OR c.currency = t.currency THEN t.amount
      WHEN t.reporting_category IN ('charge', 'charge_failure') THEN SIGN(t.amount) * c.amount_captured
      WHEN r.id IS NOT NULL THEN SIGN(t.amount) * r.amount
      WHEN d.id IS NOT NULL THEN SIGN(t.amount) * d.amount
      ELSE 0
    END AS amount
  FROM stripe.balance_transactions AS t
  LEFT JOIN stripe.refunds AS r ON r.id = t.source AND r._account = t._account AND r._livemode = t._livemode
  LEFT JOIN stripe.disputes AS d ON d.id = t.source AND d._account = t._account AND d._livemode = t._livemode
  LEFT JOIN stripe.charges AS c
    ON c.id = COALESCE(r.charge, d.charge, t.source) AND c._account = t._account AND c._livemode = t._livemode
  WHERE t._deleted_at IS NULL
),
attached AS (
  SELECT
    p._account AS account,
    p._livemode AS livemode,
    json_extract_string(p.payment, '$.charge') AS charge,
    json_extract_string(p.payment, '$.payment_intent') AS intent,
    p.invoice AS bill,
    COALESCE(p.amount_paid, p.amount_requested) AS weight,
    p.created AS created,
    p.id AS id
  FROM stripe.invoice_payments AS p
  JOIN stripe.invoices AS i ON i.id = p.invoice AND i._account = p._account AND i._livemode = p._livemode
  WHERE p._deleted_at IS NULL AND i._deleted_at IS NULL AND i.status <> 'draft'
    AND COALESCE(p.amount_paid, p.amount_requested) > 0
),
linked AS (
  SELECT c.id AS charge, a.account AS account, a.livemode AS livemode, a.bill AS bill, a.weight AS weight, a.created AS created, a.id AS id
  FROM attached AS a
  JOIN stripe.charges AS c
    ON c._account = a.account AND c._livemode = a.livemode AND (c.payment_intent = a.intent)
  WHERE a.intent IS NOT NULL
  UNION ALL
  SELECT a.charge AS charge, a.account AS account, a.livemode AS livemode, a.bill AS bill, a.weight AS weight, a.created AS created, a.id AS id
  FROM attached AS a
  WHERE a.intent IS NULL AND a.charge IS NOT NULL
),
shares AS (
  SELECT
    l.*,
    SUM(l.weight) OVER (PARTITION BY l.account, l.livemode, l.charge ORDER BY l.created, l.id) AS upto,
    SUM(l.weight) OVER (PARTITION BY l.account, l.livemode, l.charge) AS whole
  FROM linked AS l
),
outside AS (
  SELECT
    p.id AS id,
    p._account AS account,
    p._livemode AS livemode,
    to_timestamp(CAST(json_extract_string(p.status_transitions, '$.paid_at') AS BIGINT)) AS at,
    p.invoice AS bill,
    'invoice_payments' AS object,
    p.amount_paid AS amount
  FROM stripe.invoice_payments AS p
  WHERE p._deleted_at IS NULL AND p.status = 'paid' AND json_extract_string(p.payment, '$.type') = 'payment_record'
),
marked AS (
  SELECT
    i.id AS id,
    i._account AS account,
    i._livemode AS livemode,
    to_timestamp(CAST(json_extract_string(i.status_transitions, '$.paid_at') AS BIGINT)) AS at,
    i.id AS bill,
    'invoices' AS object,
    i.amount_paid_off_stripe - COALESCE(
      (SELECT SUM(o.amount) FROM outside AS o WHERE o.bill = i.id AND o.account = i._account AND o.livemode = i._livemode),
      0
    ) AS amount
  FROM stripe.invoices AS i
  WHERE i._deleted_at IS NULL AND i.amount_paid_off_stripe > 0
),
external AS (
  SELECT o.* FROM outside AS o
  UNION ALL
  SELECT m.* FROM marked AS m WHERE m.amount > 0
)
SELECT
  m.id AS id,
  m.account AS account,
  m.livemode AS livemode,
  m.at AS at,
  m.category AS category,
  m.settled_currency AS settled_currency,
  CAST(CASE WHEN s.bill IS NULL OR s.upto = s.weight THEN m.settled ELSE 0 END AS BIGINT) AS settled,
  CAST(CASE WHEN s.bill IS NULL OR s.upto = s.weight THEN m.fee ELSE 0 END AS BIGINT) AS fee,
  m.charge AS charge,
  m.customer AS customer,
  m.object AS object,
  m.source AS source,
  m.currency AS currency,
  COALESCE(s.bill, m.charge, m.id) AS bill,
  s.bill IS NOT NULL AS invoiced,
  CAST(CASE
    WHEN s.bill IS NULL THEN m.amount
    ELSE (m.amount * s.upto) // s.whole - (m.amount * (s.upto - s.weight)) // s.whole
  END AS BIGINT) AS amount
FROM moved AS m
LEFT JOIN shares AS s ON s.charge = m.charge AND s.account = m.account AND s.livemode = m.livemode
UNION ALL
SELECT
  x.id AS id,
  x.account AS account,
  x.livemode AS livemode,
  x.at AS at,
  'external' AS category,
  i.currency AS settled_currency,
  CAST(0 AS BIGINT) AS settled,
  CAST(0 AS BIGINT) AS fee,
  CAST(NULL AS VARCHAR) AS charge,
  i.customer AS customer,
  x.object AS object,
  x.id AS source,
  i.currency AS currency,
  x.bill AS bill,
  TRUE AS invoiced,
  CAST(x.amount AS BIGINT) AS amount
FROM external AS x
JOIN stripe.invoices AS i ON i.id = x.bill AND i._account = x.account AND i._livemode = x.livemode
WHERE x.at IS NOT NULL
