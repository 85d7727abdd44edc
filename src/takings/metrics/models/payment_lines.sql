/*
kind = "lines"
meaning.en = "Payments, refunds and disputes in the currency the customer was charged in: amounts, and how many, by their own day and by the day of the payment."
meaning.fr = "Paiements, remboursements et litiges dans la monnaie débitée au client : montants et nombres, à leur propre jour et à celui du paiement."
grain = ["account", "livemode", "id"]
dimensions = ["customer", "payment_method", "country", "brand", "reason"]
needs = ["metrics.stg_attempts", "metrics.stg_given_back"]

[measures.payment_volume]
title.en = "Payment volume"
title.fr = "Volume des paiements"
meaning.en = "What was captured of successful payments, in the currency the customer was charged in, by the day of the charge. Authorisations that were not captured are not sales."
meaning.fr = "Ce qui a été capturé des paiements réussis, dans la monnaie débitée au client, au jour du paiement. Les autorisations non capturées ne sont pas des ventes."
sum = "flow"
parts = ["payment"]
source = "https://docs.stripe.com/api/charges/object#charge_object-amount_captured"

[measures.payments]
title.en = "Payments"
title.fr = "Paiements"
meaning.en = "How many successful payments were captured, by the day of the charge."
meaning.fr = "Combien de paiements réussis ont été capturés, au jour du paiement."
sum = "flow"
unit = "count"
parts = ["payment_count"]
source = "https://docs.stripe.com/api/charges/object#charge_object-amount_captured"

[measures.new_paying_customers]
title.en = "New paying customers"
title.fr = "Nouveaux clients payants"
meaning.en = "Customers whose first successful payment this is. Payments without a customer are not counted."
meaning.fr = "Les clients dont c’est le premier paiement réussi. Les paiements sans client ne sont pas comptés."
sum = "flow"
unit = "count"
parts = ["first_payment"]
source = "Takings"

[measures.refund_volume]
title.en = "Refunded, by day of the refund"
title.fr = "Remboursé, au jour du remboursement"
meaning.en = "What was refunded, in the currency of the payment, less refunds that failed and came back. Negative. A credit note is not a refund."
meaning.fr = "Ce qui a été remboursé, dans la monnaie du paiement, moins les remboursements échoués qui sont revenus. Négatif. Un avoir n’est pas un remboursement."
sum = "flow"
parts = ["refund", "refund_failure"]
source = "https://docs.stripe.com/refunds"

[measures.refund_count]
title.en = "Refunds, by day of the refund"
title.fr = "Nombre de remboursements, au jour du remboursement"
meaning.en = "How many refunds were made, less those that failed and came back."
meaning.fr = "Combien de remboursements ont été faits, moins ceux qui ont échoué et sont revenus."
sum = "flow"
unit = "count"
parts = ["refund_count", "refund_failure_count"]
source = "https://docs.stripe.com/refunds"

[measures.refund_volume_by_charge]
title.en = "Refunded, by day of the payment"
title.fr = "Remboursé, au jour du paiement"
meaning.en = "What has been refunded of the payments of a period, whenever it was refunded. Negative; it grows while refunds come in."
meaning.fr = "Ce qui a été remboursé des paiements d’une période, quel que soit le moment du remboursement. Négatif ; il grandit au fil des remboursements."
sum = "flow"
parts = ["charge_refund"]
source = "https://docs.stripe.com/refunds"

[measures.refund_count_by_charge]
title.en = "Refunds, by day of the payment"
title.fr = "Nombre de remboursements, au jour du paiement"
meaning.en = "How many refunds the payments of a period have had, whenever they were made."
meaning.fr = "Combien de remboursements ont eu les paiements d’une période, quel que soit leur moment."
sum = "flow"
unit = "count"
parts = ["charge_refund_count"]
source = "https://docs.stripe.com/refunds"

[measures.dispute_volume]
title.en = "Disputed, by day of the dispute"
title.fr = "Contesté, au jour du litige"
meaning.en = "Amounts of the disputes opened in a period, whatever became of them. Negative. Inquiries are not disputes."
meaning.fr = "Les montants des litiges ouverts dans une période, quelle qu’en soit l’issue. Négatif. Les demandes d’information ne sont pas des litiges."
sum = "flow"
parts = ["dispute"]
source = "https://docs.stripe.com/disputes/measuring"

[measures.dispute_count]
title.en = "Disputes, by day of the dispute"
title.fr = "Nombre de litiges, au jour du litige"
meaning.en = "How many disputes were opened in a period, whenever the payment was. Inquiries are not disputes."
meaning.fr = "Combien de litiges ont été ouverts dans une période, quelle que soit la date du paiement. Les demandes d’information ne sont pas des litiges."
sum = "flow"
unit = "count"
parts = ["dispute_count"]
source = "https://docs.stripe.com/disputes/measuring"

[measures.inquiry_count]
title.en = "Inquiries"
title.fr = "Demandes d’information"
meaning.en = "How many questions issuers asked, or disputes were averted, without money being withdrawn, by the day they came."
meaning.fr = "Combien de questions les émetteurs ont posées, ou de litiges ont été évités, sans retrait d’argent, au jour de leur arrivée."
sum = "flow"
unit = "count"
parts = ["inquiry_count"]
source = "https://docs.stripe.com/disputes/how-disputes-work"

[measures.dispute_count_by_charge]
title.en = "Disputes, by day of the payment"
title.fr = "Nombre de litiges, au jour du paiement"
meaning.en = "How many payments of a period have been disputed, whenever that was: it moves for 120 days and more."
meaning.fr = "Combien de paiements d’une période ont été contestés, quel qu’en soit le moment : le nombre bouge pendant 120 jours et plus."
sum = "flow"
unit = "count"
parts = ["charge_dispute_count"]
source = "https://docs.stripe.com/disputes/measuring"

[derived.average_payment]
title.en = "Average payment"
title.fr = "Paiement moyen"
meaning.en = "Payment volume divided by the number of payments."
meaning.fr = "Le volume des paiements divisé par leur nombre."
unit = "money"
over = "payment_volume"
under = "payments"
source = "Takings"

[derived.refund_rate]
title.en = "Refund rate, by day of the refund"
title.fr = "Taux de remboursement, au jour du remboursement"
meaning.en = "Amount refunded in a period divided by the payment volume of the same period."
meaning.fr = "Le montant remboursé dans une période divisé par le volume des paiements de la même période."
unit = "share"
over = "refund_volume"
under = "payment_volume"
flip = true
source = "Takings"

[derived.refund_rate_by_charge]
title.en = "Refund rate, by day of the payment"
title.fr = "Taux de remboursement, au jour du paiement"
meaning.en = "What has been refunded of the payments of a period, divided by their volume."
meaning.fr = "Ce qui a été remboursé des paiements d’une période, divisé par leur volume."
unit = "share"
over = "refund_volume_by_charge"
under = "payment_volume"
flip = true
source = "Takings"

[derived.dispute_activity]
title.en = "Dispute activity"
title.fr = "Activité des litiges"
meaning.en = "Disputes opened in a period divided by the successful payments of the same period, as the card networks’ programmes look at it."
meaning.fr = "Les litiges ouverts dans une période divisés par les paiements réussis de la même période, comme le regardent les programmes des réseaux de cartes."
unit = "share"
over = "dispute_count"
under = "payments"
source = "https://docs.stripe.com/disputes/measuring"

[derived.dispute_rate]
title.en = "Dispute rate"
title.fr = "Taux de litiges"
meaning.en = "Which share of the payments of a period have been disputed, whenever that was: it moves for 120 days and more."
meaning.fr = "La part des paiements d’une période qui ont été contestés, quel qu’en soit le moment : elle bouge pendant 120 jours et plus."
unit = "share"
over = "dispute_count_by_charge"
under = "payments"
source = "https://docs.stripe.com/disputes/measuring"
*/
SELECT
  a.id || ':' || m.part AS id,
  a.account AS account,
  a.livemode AS livemode,
  a.currency AS currency,
  a.at AS at,
  a.day AS day,
  a.day_utc AS day_utc,
  m.part AS part,
  CASE WHEN m.part = 'payment' THEN a.captured ELSE CAST(1 AS BIGINT) END AS amount,
  'charges' AS object,
  a.id AS source,
  a.customer AS customer,
  a.payment_method AS payment_method,
  a.country AS country,
  a.brand AS brand,
  CAST(NULL AS VARCHAR) AS reason
FROM metrics.stg_attempts AS a
CROSS JOIN (
  SELECT 'payment' AS part UNION ALL SELECT 'payment_count' AS part UNION ALL SELECT 'first_payment' AS part
) AS m
WHERE a.captured > 0 AND (m.part <> 'first_payment' OR a.is_first_of_customer)
UNION ALL
SELECT
  g.id || ':' || m.part AS id,
  g.account AS account,
  g.livemode AS livemode,
  g.currency AS currency,
  CASE m.dated WHEN 'own' THEN g.at WHEN 'failed' THEN g.failed_at ELSE g.charged_at END AS at,
  CASE m.dated WHEN 'own' THEN g.day WHEN 'failed' THEN g.failed_day ELSE g.charged_day END AS day,
  CASE m.dated WHEN 'own' THEN g.day_utc WHEN 'failed' THEN g.failed_day_utc ELSE g.charged_day_utc END AS day_utc,
  m.part AS part,
  CASE m.counts WHEN 0 THEN m.sign * g.amount ELSE CAST(m.counts AS BIGINT) END AS amount,
  CASE WHEN g.kind = 'refund' THEN 'refunds' ELSE 'disputes' END AS object,
  g.id AS source,
  g.customer AS customer,
  g.payment_method AS payment_method,
  g.country AS country,
  g.brand AS brand,
  g.reason AS reason
FROM metrics.stg_given_back AS g
INNER JOIN (
  SELECT 'refund' AS kind, 'refund' AS part, 'own' AS dated, -1 AS sign, 0 AS counts
  UNION ALL SELECT 'refund' AS kind, 'refund_count' AS part, 'own' AS dated, 0 AS sign, 1 AS counts
  UNION ALL SELECT 'refund' AS kind, 'refund_failure' AS part, 'failed' AS dated, 1 AS sign, 0 AS counts
  UNION ALL SELECT 'refund' AS kind, 'refund_failure_count' AS part, 'failed' AS dated, 0 AS sign, -1 AS counts
  UNION ALL SELECT 'refund' AS kind, 'charge_refund' AS part, 'charge' AS dated, -1 AS sign, 0 AS counts
  UNION ALL SELECT 'refund' AS kind, 'charge_refund_count' AS part, 'charge' AS dated, 0 AS sign, 1 AS counts
  UNION ALL SELECT 'dispute' AS kind, 'dispute' AS part, 'own' AS dated, -1 AS sign, 0 AS counts
  UNION ALL SELECT 'dispute' AS kind, 'dispute_count' AS part, 'own' AS dated, 0 AS sign, 1 AS counts
  UNION ALL SELECT 'dispute' AS kind, 'charge_dispute_count' AS part, 'charge' AS dated, 0 AS sign, 1 AS counts
  UNION ALL SELECT 'inquiry' AS kind, 'inquiry_count' AS part, 'own' AS dated, 0 AS sign, 1 AS counts
) AS m
  ON m.kind = g.kind
WHERE m.dated = 'own'
  OR (m.dated = 'failed' AND g.failed_at IS NOT NULL)
  OR (m.dated = 'charge' AND g.charged_at IS NOT NULL AND g.failed_at IS NULL)
