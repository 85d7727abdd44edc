/*
kind = "staging"
meaning.en = "What credit notes, and the refunds that belong to them, take from each line of their invoice, net and tax."
meaning.fr = "Ce que les avoirs, et les remboursements qui en font partie, retirent à chaque ligne de leur facture, hors taxes et taxes."
grain = ["account", "livemode", "event", "line"]
needs = [
  "metrics.stg_recognition_lines", "metrics.stg_recognition_payments", "stripe.credit_note_line_items",
  "stripe.credit_notes"
]
*/
WITH notes AS (
  SELECT
    n.id AS id,
    n._account AS account,
    n._livemode AS livemode,
    n.invoice AS bill,
    n.amount AS amount,
    n.voided_at AS voided_at,
    from_json(n.refunds, '[{"refund": "VARCHAR", "amount_refunded": "BIGINT"}]') AS refunds
  FROM stripe.credit_notes AS n
  WHERE n._deleted_at IS NULL AND n.amount > 0
),
read_lines AS (
  SELECT
    l._account AS account,
    l._livemode AS livemode,
    l._parent AS note,
    l.invoice_line_item AS line,
    l.amount - COALESCE(l.discount_amount, 0) AS amount,
    from_json(l.taxes, '[{"amount": "BIGINT", "tax_behavior": "VARCHAR"}]') AS taxes
  FROM stripe.credit_note_line_items AS l
  WHERE l._deleted_at IS NULL
),
lines AS (
  SELECT
    l.account AS account,
    l.livemode AS livemode,
    l.note AS note,
    CASE WHEN b.id IS NOT NULL THEN l.line END AS line,
    SUM(l.amount - COALESCE(list_sum(list_transform(
      list_filter(l.taxes, lambda x: x.tax_behavior = 'inclusive'), lambda x: x.amount
    )), 0)) AS net,
    SUM(COALESCE(list_sum(list_transform(l.taxes, lambda x: x.amount)), 0)) AS tax
  FROM read_lines AS l
  LEFT JOIN metrics.stg_recognition_lines AS b ON b.id = l.line AND b.account = l.account AND b.livemode = l.livemode
  GROUP BY 1, 2, 3, 4
),
-- What a credit note takes from no line of the invoice in particular.
loose AS (
  SELECT
    n.account AS account,
    n.livemode AS livemode,
    n.id AS note,
    n.bill AS bill,
    n.amount - COALESCE(SUM(l.net + l.tax), 0) + COALESCE(SUM(l.net) FILTER (l.line IS NULL), 0) AS net,
    COALESCE(SUM(l.tax) FILTER (l.line IS NULL), 0) AS tax
  FROM notes AS n
  LEFT JOIN lines AS l ON l.note = n.id AND l.account = n.account AND l.livemode = n.livemode
  GROUP BY n.account, n.livemode, n.id, n.bill, n.amount
),
weights AS (
  SELECT
    b.account AS account,
    b.livemode AS livemode,
    b.bill AS bill,
    b.id AS line,
    CAST(b.net AS HUGEINT) AS weight,
    SUM(b.net) OVER (PARTITION BY b.account, b.livemode, b.bill ORDER BY b.id) AS upto,
    SUM(b.net) OVER (PARTITION BY b.account, b.livemode, b.bill) AS whole
  FROM metrics.stg_recognition_lines AS b
  WHERE b.net <> 0
),
wanted AS (
  SELECT l.account AS account, l.livemode AS livemode, l.note AS note, l.line AS line, l.net AS net, l.tax AS tax
  FROM lines AS l
  WHERE l.line IS NOT NULL
  UNION ALL
  SELECT
    o.account AS account,
    o.livemode AS livemode,
    o.note AS note,
    w.line AS line,
    (o.net * w.upto) // w.whole - (o.net * (w.upto - w.weight)) // w.whole AS net,
    (o.tax * w.upto) // w.whole - (o.tax * (w.upto - w.weight)) // w.whole AS tax
  FROM loose AS o
  JOIN weights AS w ON w.bill = o.bill AND w.account = o.account AND w.livemode = o.livemode AND w.whole <> 0
  WHERE o.net <> 0 OR o.tax <> 0
),
summed AS (
  SELECT
    w.account AS account,
    w.livemode AS livemode,
    w.note AS note,
    w.line AS line,
    SUM(w.net) AS net,
    SUM(w.tax) AS tax,
    SUM(SUM(w.net)) OVER (PARTITION BY w.account, w.livemode, w.note ORDER BY w.line) AS net_upto,
    SUM(SUM(w.tax)) OVER (PARTITION BY w.account, w.livemode, w.note ORDER BY w.line) AS tax_upto
  FROM wanted AS w
  GROUP BY 1, 2, 3, 4
),
-- A credit note's own part is what it does not give back by refunds; those take theirs when the money moves.
scales AS (
  SELECT
    n.account AS account,
    n.livemode AS livemode,
    n.id AS note,
    n.id AS event,
    n.amount AS whole,
    n.amount - COALESCE(list_sum(list_transform(n.refunds, lambda x: x.amount_refunded)), 0) AS part
  FROM notes AS n
  UNION ALL
  SELECT
    n.account AS account,
    n.livemode AS livemode,
    n.id AS note,
    n.id || ':voided' AS event,
    n.amount AS whole,
    COALESCE(list_sum(list_transform(n.refunds, lambda x: x.amount_refunded)), 0) - n.amount AS part
  FROM notes AS n
  WHERE n.voided_at IS NOT NULL
  UNION ALL
  SELECT
    n.account AS account,
    n.livemode AS livemode,
    n.note AS note,
    p.id AS event,
    n.amount AS whole,
    -p.amount AS part
  FROM (
    SELECT
      r.account AS account,
      r.livemode AS livemode,
      r.refund.refund AS refund,
      r.id AS note,
      r.amount AS amount,
      r.bill AS bill,
      COUNT(*) OVER (PARTITION BY r.account, r.livemode, r.refund.refund) AS notes
    FROM (SELECT n.*, unnest(n.refunds) AS refund FROM notes AS n) AS r
  ) AS n
  JOIN metrics.stg_recognition_payments AS p
    ON p.source = n.refund AND p.category = 'refund' AND p.bill = n.bill AND p.account = n.account AND p.livemode = n.livemode
  WHERE n.notes = 1
)
SELECT
  s.account AS account,
  s.livemode AS livemode,
  s.event AS event,
  w.line AS line,
  CAST((s.part * w.net_upto) // s.whole - (s.part * (w.net_upto - w.net)) // s.whole AS BIGINT) AS net,
  CAST((s.part * w.tax_upto) // s.whole - (s.part * (w.tax_upto - w.tax)) // s.whole AS BIGINT) AS tax
FROM scales AS s
JOIN summed AS w ON w.note = s.note AND w.account = s.account AND w.livemode = s.livemode
WHERE s.part <> 0
