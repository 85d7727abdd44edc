/*
kind = "lines"
meaning.en = "Tax and what it was reckoned on, rate by rate: of invoice lines by the day the invoice was finalised, of credit notes with the opposite sign by theirs; a void takes its own back on its day."
meaning.fr = "Les taxes et leur base, taux par taux : des lignes de factures au jour de la finalisation, des avoirs avec le signe contraire au leur ; une annulation reprend les siennes à son jour."
grain = ["account", "livemode", "id"]
dimensions = [
  "tax_rate", "jurisdiction", "jurisdiction_level", "tax_country", "tax_state", "tax_type", "percentage", "tax_behavior",
  "taxability_reason", "customer", "country", "document"
]
needs = ["metrics.stg_taxes"]

[measures.tax]
title.en = "Tax"
title.fr = "Taxes"
meaning.en = "Tax of finalised invoices at line level, less credit notes and voids. Cut by tax rate, jurisdiction, or inclusive and exclusive. Tax given up as uncollectible stays in."
meaning.fr = "Les taxes des factures finalisées, ligne par ligne, moins avoirs et annulations. À détailler par taux, juridiction, ou incluses et en sus. Les taxes passées en perte y restent."
sum = "flow"
parts = ["invoice_tax", "invoice_void_tax", "credit_note_tax", "credit_note_void_tax"]
source = "https://docs.stripe.com/api/invoice-line-item/object#invoice_line_item_object-taxes"

[measures.taxable]
title.en = "Taxable amount"
title.fr = "Base taxable"
meaning.en = "What each tax rate was reckoned on, without the tax. A line with two rates counts for each of them: read it rate by rate."
meaning.fr = "La base de chaque taux, hors taxes. Une ligne à deux taux compte pour chacun : à lire taux par taux."
sum = "flow"
parts = [
  "invoice_taxable", "invoice_void_taxable", "credit_note_taxable", "credit_note_void_taxable"
]
source = "https://docs.stripe.com/api/invoice-line-item/object#invoice_line_item_object-taxes-taxable_amount"
*/
SELECT
  t.id || ':' || v.moment || ':' || m.what AS id,
  t.account AS account,
  t.livemode AS livemode,
  t.currency AS currency,
  CASE WHEN v.moment = 'issued' THEN t.at ELSE t.voided_at END AS at,
  CASE WHEN v.moment = 'issued' THEN t.day ELSE t.voided_day END AS day,
  CASE WHEN v.moment = 'issued' THEN t.day_utc ELSE t.voided_day_utc END AS day_utc,
  t.kind || CASE WHEN v.moment = 'issued' THEN '_' ELSE '_void_' END || m.what AS part,
  v.sign * CASE WHEN t.kind = 'invoice' THEN 1 ELSE -1 END * CASE WHEN m.what = 'tax' THEN t.tax ELSE t.taxable END AS amount,
  t.object AS object,
  t.source AS source,
  t.tax_rate AS tax_rate,
  t.jurisdiction AS jurisdiction,
  t.jurisdiction_level AS jurisdiction_level,
  t.tax_country AS tax_country,
  t.tax_state AS tax_state,
  t.tax_type AS tax_type,
  t.percentage AS percentage,
  t.tax_behavior AS tax_behavior,
  t.taxability_reason AS taxability_reason,
  t.customer AS customer,
  t.country AS country,
  t.document AS document
FROM metrics.stg_taxes AS t
CROSS JOIN (SELECT 'tax' AS what UNION ALL SELECT 'taxable' AS what) AS m
CROSS JOIN (SELECT 'issued' AS moment, 1 AS sign UNION ALL SELECT 'voided' AS moment, -1 AS sign) AS v
WHERE (v.moment = 'issued' OR t.voided_at IS NOT NULL)
  AND CASE WHEN m.what = 'tax' THEN t.tax ELSE t.taxable END <> 0
