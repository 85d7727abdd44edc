/*
kind = "lines"
meaning.en = "Everything that moved the Stripe balance: each balance transaction's amount by reporting category, and its fee."
meaning.fr = "Tout ce qui a fait bouger le solde Stripe : le montant de chaque transaction par catégorie, et ses frais."
grain = ["account", "livemode", "id"]
dimensions = ["customer", "payment_method", "country"]
needs = ["metrics.stg_transactions"]

[measures.gross_volume]
title.en = "Gross volume"
title.fr = "Volume brut"
meaning.en = "Successful payments that were captured, at the currency and moment they reached the balance; a debit that the bank returned was none."
meaning.fr = "Les paiements réussis et capturés, dans la monnaie et au moment où ils ont atteint le solde ; un prélèvement que la banque a rejeté n’en était pas un."
sum = "flow"
parts = ["charge", "partial_capture_reversal", "charge_failure"]
source = "https://docs.stripe.com/reports/reporting-categories"

[measures.refunds]
title.en = "Refunds"
title.fr = "Remboursements"
meaning.en = "Money given back, less refunds that failed and came back. Negative: it leaves the balance."
meaning.fr = "L’argent rendu, moins les remboursements échoués qui sont revenus. Négatif : il quitte le solde."
sum = "flow"
parts = ["refund", "refund_failure"]
source = "https://docs.stripe.com/reports/reporting-categories"

[measures.disputes]
title.en = "Disputes"
title.fr = "Litiges"
meaning.en = "Money withdrawn for disputes, less what came back when they were won, by the day it moved."
meaning.fr = "L’argent retiré pour des litiges, moins ce qui est revenu quand ils ont été gagnés, au jour du mouvement."
sum = "flow"
parts = ["dispute", "dispute_reversal"]
source = "https://docs.stripe.com/reports/reporting-categories"

[measures.net_volume]
title.en = "Net volume"
title.fr = "Volume net"
meaning.en = "Gross volume less refunds and disputes, before fees."
meaning.fr = "Le volume brut moins remboursements et litiges, avant frais."
sum = "flow"
parts = [
  "charge", "partial_capture_reversal", "charge_failure", "refund", "refund_failure", "dispute", "dispute_reversal"
]
source = "https://docs.stripe.com/reports/reporting-categories"

[measures.fees]
title.en = "Fees"
title.fr = "Frais"
meaning.en = "What Stripe kept: the fee of each transaction, and fees and the tax on them that are transactions of their own. Negative: it leaves the balance."
meaning.fr = "Ce que Stripe a gardé : les frais de chaque transaction, et les frais et leur taxe qui sont des transactions à part. Négatif : ils quittent le solde."
sum = "flow"
parts = ["transaction_fee", "fee", "network_cost", "tax"]
source = "https://docs.stripe.com/reports/reporting-categories"

[measures.payouts]
title.en = "Payouts"
title.fr = "Virements"
meaning.en = "What went to the bank, less what came back, by UTC day as Stripe's balance reports have it. Negative: it leaves the balance."
meaning.fr = "Ce qui est parti à la banque, moins ce qui en est revenu, par jour UTC comme dans les rapports de solde de Stripe. Négatif : cela quitte le solde."
sum = "flow"
parts = ["payout", "payout_reversal"]
utc = true
source = "https://docs.stripe.com/reports/balance"

[measures.balance]
title.en = "Balance"
title.fr = "Solde"
meaning.en = "What Stripe held, available and pending, at the end of a day in UTC: the sum of everything that ever moved it."
meaning.fr = "Ce que Stripe détenait, disponible et en attente, à la fin d’un jour UTC : la somme de tout ce qui l’a jamais fait bouger."
sum = "stock"
utc = true
source = "https://docs.stripe.com/reports/balance"

[derived.fee_rate]
title.en = "Effective fee rate"
title.fr = "Taux de frais effectif"
meaning.en = "Fees as a share of gross volume."
meaning.fr = "Les frais rapportés au volume brut."
unit = "share"
over = "fees"
under = "gross_volume"
flip = true
source = "https://docs.stripe.com/reports/reporting-categories"
*/
SELECT
  CASE WHEN a.arm = 'fee' THEN t.id || ':fee' ELSE t.id END AS id,
  t.account AS account,
  t.livemode AS livemode,
  t.currency AS currency,
  t.at AS at,
  t.day AS day,
  t.day_utc AS day_utc,
  CASE WHEN a.arm = 'fee' THEN 'transaction_fee' ELSE t.category END AS part,
  CASE WHEN a.arm = 'fee' THEN -t.fee ELSE t.amount END AS amount,
  'balance_transactions' AS object,
  t.id AS source,
  t.customer AS customer,
  t.payment_method AS payment_method,
  t.country AS country
FROM metrics.stg_transactions AS t
CROSS JOIN (SELECT 'amount' AS arm UNION ALL SELECT 'fee' AS arm) AS a
WHERE a.arm = 'amount' OR t.fee <> 0
