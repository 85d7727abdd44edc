/*
kind = "lines"
meaning.en = "Payments by what became of them: one line a payment, however many attempts it took."
meaning.fr = "Les paiements selon ce qu’ils sont devenus : une ligne par paiement, quel que soit le nombre de tentatives."
grain = ["account", "livemode", "id"]
dimensions = ["customer", "payment_method", "country"]
needs = ["metrics.stg_payments"]

[measures.payments_decided]
title.en = "Payments that succeeded or failed"
title.fr = "Paiements réussis ou échoués"
meaning.en = "PaymentIntents that were tried and succeeded or failed, by the day they were created; one payment however many attempts. Those that wait for the customer, the bank or a capture are neither."
meaning.fr = "Les PaymentIntents tentés, réussis ou échoués, au jour de leur création ; un seul paiement quel que soit le nombre de tentatives. Ceux qui attendent le client, la banque ou une capture ne sont ni l’un ni l’autre."
sum = "flow"
unit = "count"
parts = ["succeeded", "failed"]
source = "https://docs.stripe.com/payments/paymentintents/lifecycle"

[measures.payments_succeeded]
title.en = "Successful payments"
title.fr = "Paiements réussis"
meaning.en = "PaymentIntents that succeeded, by the day they were created."
meaning.fr = "Les PaymentIntents réussis, au jour de leur création."
sum = "flow"
unit = "count"
parts = ["succeeded"]
source = "https://docs.stripe.com/payments/paymentintents/lifecycle"

[measures.payments_failed]
title.en = "Failed payments"
title.fr = "Paiements échoués"
meaning.en = "PaymentIntents that were tried and have not succeeded, those given up included. One that succeeds later becomes a success of the day it was created."
meaning.fr = "Les PaymentIntents tentés qui n’ont pas réussi, abandonnés compris. Celui qui réussit plus tard devient une réussite du jour de sa création."
sum = "flow"
unit = "count"
parts = ["failed"]
source = "https://docs.stripe.com/payments/paymentintents/lifecycle"

[measures.payments_unfinished]
title.en = "Unfinished payments"
title.fr = "Paiements inachevés"
meaning.en = "PaymentIntents that wait for the customer (3D Secure), for the bank, or for their capture: neither successes nor failures."
meaning.fr = "Les PaymentIntents qui attendent le client (3D Secure), la banque ou leur capture : ni réussites, ni échecs."
sum = "flow"
unit = "count"
parts = ["uncaptured", "processing", "requires_action", "requires_confirmation"]
source = "https://docs.stripe.com/payments/paymentintents/lifecycle"

[derived.payment_success_rate]
title.en = "Payment success rate"
title.fr = "Taux de réussite des paiements"
meaning.en = "Payments that succeeded among those that succeeded or failed, one payment however many attempts."
meaning.fr = "La part des paiements réussis parmi ceux réussis ou échoués, un seul paiement quel que soit le nombre de tentatives."
unit = "share"
over = "payments_succeeded"
under = "payments_decided"
source = "https://docs.stripe.com/payments/analytics/glossary"
*/
SELECT
  p.id AS id,
  p.account AS account,
  p.livemode AS livemode,
  p.currency AS currency,
  p.at AS at,
  p.day AS day,
  p.day_utc AS day_utc,
  p.outcome AS part,
  CAST(1 AS BIGINT) AS amount,
  p.object AS object,
  p.id AS source,
  p.customer AS customer,
  p.payment_method AS payment_method,
  p.country AS country
FROM metrics.stg_payments AS p
