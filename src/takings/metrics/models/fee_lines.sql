/*
kind = "lines"
meaning.en = "What Stripe and others kept, split by what it was for: each part of each balance transaction’s fee, and fees that are transactions of their own."
meaning.fr = "Ce que Stripe et d’autres ont gardé, détaillé par objet : chaque part des frais de chaque transaction, et les frais qui sont des transactions à part."
grain = ["account", "livemode", "id"]
dimensions = ["customer", "payment_method", "country", "category"]
needs = ["metrics.stg_fees"]

[measures.fees_by_type]
title.en = "Fees by type"
title.fr = "Frais par type"
meaning.en = "The same sum as the fees, split by Stripe’s fee types: Stripe’s own, of the payment method, of a platform, tax. Negative: it leaves the balance."
meaning.fr = "La même somme que les frais, détaillée selon les types de Stripe : ceux de Stripe, du moyen de paiement, d’une plateforme, les taxes. Négatif : cela quitte le solde."
sum = "flow"
source = "https://docs.stripe.com/api/balance_transactions/object#balance_transaction_object-fee_details-type"
*/
SELECT
  f.id AS id,
  f.account AS account,
  f.livemode AS livemode,
  f.currency AS currency,
  f.at AS at,
  f.day AS day,
  f.day_utc AS day_utc,
  f.type AS part,
  -f.amount AS amount,
  'balance_transactions' AS object,
  f.source AS source,
  f.customer AS customer,
  f.payment_method AS payment_method,
  f.country AS country,
  f.category AS category
FROM metrics.stg_fees AS f
WHERE f.amount <> 0
