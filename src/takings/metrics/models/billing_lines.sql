/*
kind = "lines"
meaning.en = "What was billed: finalised invoices with and without tax, those voided since, credit notes, and how long payment took."
meaning.fr = "Ce qui a été facturé : les factures finalisées avec et sans taxes, celles annulées depuis, les avoirs, et le délai de paiement."
grain = ["account", "livemode", "id"]
dimensions = ["customer", "subscription", "country", "billing_reason", "collection_method"]
needs = ["metrics.stg_issued_credit_notes", "metrics.stg_issued_invoices"]

[measures.billed]
title.en = "Billed"
title.fr = "Facturé"
meaning.en = "Totals of the invoices finalised in a period, tax included, less those voided in it: a void shows when it happened."
meaning.fr = "Les totaux des factures finalisées dans une période, taxes comprises, moins celles annulées pendant celle-ci : une annulation apparaît quand elle a lieu."
sum = "flow"
parts = ["net", "tax", "void_net", "void_tax"]
source = "https://docs.stripe.com/invoicing/overview"

[measures.billed_excluding_tax]
title.en = "Billed without tax"
title.fr = "Facturé hors taxes"
meaning.en = "The same without tax, inclusive tax taken out."
meaning.fr = "La même chose hors taxes, les taxes incluses étant retirées."
sum = "flow"
parts = ["net", "void_net"]
source = "https://docs.stripe.com/api/invoices/object#invoice_object-total_excluding_tax"

[measures.invoices_issued]
title.en = "Invoices issued"
title.fr = "Factures émises"
meaning.en = "How many invoices were finalised, those voided later included."
meaning.fr = "Combien de factures ont été finalisées, y compris celles annulées plus tard."
sum = "flow"
unit = "count"
parts = ["issued_count"]
source = "https://docs.stripe.com/invoicing/overview"

[measures.invoices_voided]
title.en = "Invoices voided"
title.fr = "Factures annulées"
meaning.en = "How many invoices were voided, by the day it happened."
meaning.fr = "Combien de factures ont été annulées, au jour de l’annulation."
sum = "flow"
unit = "count"
parts = ["voided_count"]
source = "https://docs.stripe.com/invoicing/overview#void"

[measures.credit_notes]
title.en = "Credit notes"
title.fr = "Avoirs"
meaning.en = "Credit notes issued, less those voided, tax included. Negative. By part: lowered what was due, refunded, put on the customer’s balance, settled outside Stripe."
meaning.fr = "Les avoirs émis, moins ceux annulés, taxes comprises. Négatif. Par part : dû réduit, remboursé, porté au solde du client, réglé hors de Stripe."
sum = "flow"
parts = [
  "credit_note_pre_payment", "credit_note_refunded", "credit_note_credited", "credit_note_out_of_band"
]
source = "https://docs.stripe.com/api/credit_notes/object"

[measures.invoices_paid]
title.en = "Invoices paid"
title.fr = "Factures payées"
meaning.en = "How many invoices that asked for money were paid in full, by the day they were."
meaning.fr = "Combien de factures qui demandaient de l’argent ont été entièrement payées, au jour du paiement."
sum = "flow"
unit = "count"
parts = ["paid_count"]
source = "https://docs.stripe.com/api/invoices/object#invoice_object-status_transitions-paid_at"

[measures.days_to_payment]
title.en = "Days to payment"
title.fr = "Jours jusqu’au paiement"
meaning.en = "Days between the invoice and its payment, of the invoices paid in a period, added up."
meaning.fr = "Les jours entre la facture et son paiement, additionnés sur les factures payées dans une période."
sum = "flow"
unit = "count"
parts = ["days_to_payment"]
source = "Takings"

[derived.average_days_to_pay]
title.en = "Average days to pay"
title.fr = "Délai moyen de paiement"
meaning.en = "Days between the invoice and its payment, on average over the invoices paid in a period."
meaning.fr = "Les jours entre la facture et son paiement, en moyenne sur les factures payées dans une période."
unit = "days"
over = "days_to_payment"
under = "invoices_paid"
source = "Takings"

[derived.days_sales_outstanding]
title.en = "Days sales outstanding"
title.fr = "Délai moyen de recouvrement (DSO)"
meaning.en = "Receivables at the end of a period, divided by what was billed in it, times its days: how many days’ bills are still out."
meaning.fr = "Les créances à la fin d’une période, divisées par ce qui y a été facturé, fois ses jours : combien de jours de factures restent dehors."
unit = "days"
over = "receivables"
under = "billed"
times = "days"
source = "Takings"
*/
SELECT
  i.id || ':' || m.part AS id,
  i.account AS account,
  i.livemode AS livemode,
  i.currency AS currency,
  CASE m.moment WHEN 'finalized' THEN i.finalized_at WHEN 'paid' THEN i.paid_at ELSE i.voided_at END AS at,
  CASE m.moment WHEN 'finalized' THEN i.finalized_day WHEN 'paid' THEN i.paid_day ELSE i.voided_day END AS day,
  CASE m.moment WHEN 'finalized' THEN i.finalized_day_utc WHEN 'paid' THEN i.paid_day_utc ELSE i.voided_day_utc END AS day_utc,
  m.part AS part,
  CASE m.part
    WHEN 'net' THEN i.total_excluding_tax
    WHEN 'tax' THEN i.total - i.total_excluding_tax
    WHEN 'void_net' THEN -i.total_excluding_tax
    WHEN 'void_tax' THEN i.total_excluding_tax - i.total
    WHEN 'days_to_payment' THEN i.days_to_payment
    ELSE CAST(1 AS BIGINT)
  END AS amount,
  'invoices' AS object,
  i.id AS source,
  i.customer AS customer,
  i.subscription AS subscription,
  i.country AS country,
  i.billing_reason AS billing_reason,
  i.collection_method AS collection_method
FROM metrics.stg_issued_invoices AS i
CROSS JOIN (
  SELECT 'net' AS part, 'finalized' AS moment
  UNION ALL SELECT 'tax' AS part, 'finalized' AS moment
  UNION ALL SELECT 'issued_count' AS part, 'finalized' AS moment
  UNION ALL SELECT 'void_net' AS part, 'voided' AS moment
  UNION ALL SELECT 'void_tax' AS part, 'voided' AS moment
  UNION ALL SELECT 'voided_count' AS part, 'voided' AS moment
  UNION ALL SELECT 'paid_count' AS part, 'paid' AS moment
  UNION ALL SELECT 'days_to_payment' AS part, 'paid' AS moment
) AS m
WHERE (m.moment = 'finalized' OR (m.moment = 'voided' AND i.voided_at IS NOT NULL) OR (m.moment = 'paid' AND i.amount_paid > 0 AND i.paid_at IS NOT NULL))
  AND (m.part NOT IN ('tax', 'void_tax') OR i.total <> i.total_excluding_tax)
  AND (m.part NOT IN ('net', 'void_net') OR i.total_excluding_tax <> 0)
UNION ALL
SELECT
  n.id || ':' || m.part || ':' || s.moment AS id,
  n.account AS account,
  n.livemode AS livemode,
  n.currency AS currency,
  CASE WHEN s.sign < 0 THEN n.at ELSE n.voided_at END AS at,
  CASE WHEN s.sign < 0 THEN n.day ELSE n.voided_day END AS day,
  CASE WHEN s.sign < 0 THEN n.day_utc ELSE n.voided_day_utc END AS day_utc,
  m.part AS part,
  s.sign * CASE m.part
    WHEN 'credit_note_pre_payment' THEN n.pre_payment
    WHEN 'credit_note_refunded' THEN n.refunded
    WHEN 'credit_note_out_of_band' THEN n.out_of_band
    ELSE n.credited
  END AS amount,
  'credit_notes' AS object,
  n.id AS source,
  n.customer AS customer,
  n.subscription AS subscription,
  n.country AS country,
  n.billing_reason AS billing_reason,
  n.collection_method AS collection_method
FROM metrics.stg_issued_credit_notes AS n
CROSS JOIN (
  SELECT 'credit_note_pre_payment' AS part
  UNION ALL SELECT 'credit_note_refunded' AS part
  UNION ALL SELECT 'credit_note_out_of_band' AS part
  UNION ALL SELECT 'credit_note_credited' AS part
) AS m
CROSS JOIN (SELECT 'issued' AS moment, -1 AS sign UNION ALL SELECT 'voided' AS moment, 1 AS sign) AS s
WHERE (s.sign < 0 OR n.voided_at IS NOT NULL)
  AND CASE m.part
    WHEN 'credit_note_pre_payment' THEN n.pre_payment
    WHEN 'credit_note_refunded' THEN n.refunded
    WHEN 'credit_note_out_of_band' THEN n.out_of_band
    ELSE n.credited
  END <> 0
