/*
kind = "staging"
meaning.en = "Tax of invoice lines and of credit note lines, rate by rate; what an invoice has that its lines have not (shipping, rounding) is kept beside."
meaning.fr = "Les taxes des lignes de factures et d’avoirs, taux par taux ; ce qu’une facture a de plus que ses lignes (port, arrondis) est gardé à côté."
grain = ["account", "livemode", "id"]
needs = [
  "metrics.stg_issued_credit_notes", "metrics.stg_issued_invoices", "stripe.credit_note_line_items", "stripe.credit_notes",
  "stripe.invoice_line_items", "stripe.invoices", "stripe.tax_rates"
]
*/
WITH documents AS (
  SELECT
    'invoice' AS kind, i.id AS id, i.account AS account, i.livemode AS livemode, i.currency AS currency,
    i.finalized_at AS at, i.voided_at AS voided_at, i.customer AS customer, i.country AS country, v.total_taxes AS total_taxes
  FROM metrics.stg_issued_invoices AS i
  INNER JOIN stripe.invoices AS v ON v.id = i.id AND v._account = i.account AND v._livemode = i.livemode
  UNION ALL
  SELECT
    'credit_note' AS kind, n.id AS id, n.account AS account, n.livemode AS livemode, n.currency AS currency,
    n.at AS at, n.voided_at AS voided_at, n.customer AS customer, n.country AS country, c.total_taxes AS total_taxes
  FROM metrics.stg_issued_credit_notes AS n
  INNER JOIN stripe.credit_notes AS c ON c.id = n.id AND c._account = n.account AND c._livemode = n.livemode
),
given AS (
  SELECT
    l._account AS account, l._livemode AS livemode, 'invoice' AS kind, l.invoice AS document, l.id AS source, 'invoice_line_items' AS object,
    l.taxes AS taxes
  FROM stripe.invoice_line_items AS l
  WHERE l._deleted_at IS NULL
  UNION ALL
  SELECT
    l._account AS account, l._livemode AS livemode, 'credit_note' AS kind, l._parent AS document, l.id AS source,
    'credit_note_line_items' AS object, l.taxes AS taxes
  FROM stripe.credit_note_line_items AS l
  WHERE l._deleted_at IS NULL
  UNION ALL
  SELECT
    d.account AS account, d.livemode AS livemode, d.kind AS kind, d.id AS document, NULL AS source, d.kind || 's' AS object,
    d.total_taxes AS taxes
  FROM documents AS d
),
taxes AS (
  SELECT
    g.account AS account, g.livemode AS livemode, g.kind AS kind, g.document AS document, g.source AS source, g.object AS object,
    u.place AS place,
    json_extract_string(u.item, '$.tax_rate_details.tax_rate') AS tax_rate,
    json_extract_string(u.item, '$.tax_behavior') AS tax_behavior,
    json_extract_string(u.item, '$.taxability_reason') AS taxability_reason,
    COALESCE(CAST(json_extract_string(u.item, '$.amount') AS BIGINT), 0) AS tax,
    COALESCE(CAST(json_extract_string(u.item, '$.taxable_amount') AS BIGINT), 0) AS taxable
  FROM given AS g
  CROSS JOIN UNNEST(CAST(g.taxes AS JSON[])) WITH ORDINALITY AS u(item, place)
),
all_taxes AS (
  SELECT
    t.source || ':' || t.place AS id, t.account AS account, t.livemode AS livemode, t.kind AS kind, t.document AS document,
    t.source AS source, t.object AS object, t.tax_rate AS tax_rate, t.tax_behavior AS tax_behavior,
    t.taxability_reason AS taxability_reason, t.tax AS tax, t.taxable AS taxable
  FROM taxes AS t
  WHERE t.source IS NOT NULL
  UNION ALL
  SELECT
    r.document || ':' || COALESCE(r.tax_rate, '') || ':' || COALESCE(r.tax_behavior, '') AS id, r.account AS account,
    r.livemode AS livemode, r.kind AS kind, r.document AS document, r.document AS source, r.kind || 's' AS object,
    r.tax_rate AS tax_rate, r.tax_behavior AS tax_behavior, r.taxability_reason AS taxability_reason,
    r.tax AS tax, r.taxable AS taxable
  FROM (
    SELECT
      t.account AS account, t.livemode AS livemode, t.kind AS kind, t.document AS document, t.tax_rate AS tax_rate,
      t.tax_behavior AS tax_behavior, MIN(t.taxability_reason) AS taxability_reason,
      CAST(SUM(CASE WHEN t.source IS NULL THEN t.tax ELSE -t.tax END) AS BIGINT) AS tax,
      CAST(SUM(CASE WHEN t.source IS NULL THEN t.taxable ELSE -t.taxable END) AS BIGINT) AS taxable
    FROM taxes AS t
    GROUP BY ALL
    HAVING count(*) FILTER (WHERE t.source IS NULL) > 0
  ) AS r
)
SELECT
  a.id AS id,
  a.account AS account,
  a.livemode AS livemode,
  d.currency AS currency,
  d.at AS at,
  CAST(d.at AT TIME ZONE $zone AS DATE) AS day,
  CAST(d.at AT TIME ZONE 'UTC' AS DATE) AS day_utc,
  d.voided_at AS voided_at,
  CAST(d.voided_at AT TIME ZONE $zone AS DATE) AS voided_day,
  CAST(d.voided_at AT TIME ZONE 'UTC' AS DATE) AS voided_day_utc,
  a.kind AS kind,
  a.document AS document,
  a.object AS object,
  a.source AS source,
  a.tax AS tax,
  a.taxable AS taxable,
  a.tax_rate AS tax_rate,
  a.tax_behavior AS tax_behavior,
  a.taxability_reason AS taxability_reason,
  r.country AS tax_country,
  r.state AS tax_state,
  r.jurisdiction AS jurisdiction,
  r.jurisdiction_level AS jurisdiction_level,
  r.tax_type AS tax_type,
  CAST(r.percentage AS VARCHAR) AS percentage,
  d.customer AS customer,
  d.country AS country
FROM all_taxes AS a
INNER JOIN documents AS d ON d.id = a.document AND d.kind = a.kind AND d.account = a.account AND d.livemode = a.livemode
LEFT JOIN stripe.tax_rates AS r ON r.id = a.tax_rate AND r._account = a.account AND r._livemode = a.livemode
WHERE a.tax <> 0 OR a.taxable <> 0
