/*
kind = "lines"
meaning.en = "Attempts to pay: one line a charge, with what became of it."
meaning.fr = "Les tentatives de paiement : une ligne par charge, avec ce qu’elle est devenue."
grain = ["account", "livemode", "id"]
dimensions = ["customer", "payment_method", "country", "brand", "outcome", "reason", "failure_code", "decline"]
needs = ["metrics.stg_attempts"]

[measures.attempts]
title.en = "Attempts"
title.fr = "Tentatives"
meaning.en = "Attempts to pay that were answered, by the day they were made. Those still pending are not counted."
meaning.fr = "Les tentatives de paiement qui ont reçu une réponse, au jour où elles ont été faites. Celles encore en attente ne sont pas comptées."
sum = "flow"
unit = "count"
parts = ["approved", "declined", "blocked", "not_sent", "succeeded", "failed"]
source = "https://docs.stripe.com/payments/analytics/acceptance"

[measures.attempts_succeeded]
title.en = "Successful attempts"
title.fr = "Tentatives réussies"
meaning.en = "Attempts that succeeded, those authorised and not captured yet included."
meaning.fr = "Les tentatives réussies, y compris celles autorisées et pas encore capturées."
sum = "flow"
unit = "count"
parts = ["approved", "succeeded"]
source = "https://docs.stripe.com/payments/analytics/glossary"

[measures.attempts_sent]
title.en = "Attempts sent to the issuer"
title.fr = "Tentatives envoyées à l’émetteur"
meaning.en = "Card attempts that the card’s issuer answered: neither blocked by Radar nor stopped before, as by an unfinished 3D Secure."
meaning.fr = "Les tentatives par carte auxquelles l’émetteur a répondu : ni bloquées par Radar, ni arrêtées avant, comme par un 3D Secure inachevé."
sum = "flow"
unit = "count"
parts = ["approved", "declined"]
source = "https://docs.stripe.com/payments/analytics/glossary"

[measures.attempts_approved]
title.en = "Attempts approved by the issuer"
title.fr = "Tentatives approuvées par l’émetteur"
meaning.en = "Card attempts that the card’s issuer approved, captured or not."
meaning.fr = "Les tentatives par carte que l’émetteur a approuvées, capturées ou non."
sum = "flow"
unit = "count"
parts = ["approved"]
source = "https://docs.stripe.com/payments/analytics/glossary"

[measures.declines]
title.en = "Declines"
title.fr = "Refus"
meaning.en = "Card attempts that the issuer declined. Cut by reason, failure code, or hard (Stripe does not try again with the same card) and soft."
meaning.fr = "Les tentatives par carte que l’émetteur a refusées. À détailler par motif, code d’échec, ou dur (Stripe ne réessaie pas avec la même carte) et souple."
sum = "flow"
unit = "count"
parts = ["declined"]
source = "https://docs.stripe.com/declines"

[measures.blocked_attempts]
title.en = "Blocked attempts"
title.fr = "Tentatives bloquées"
meaning.en = "Attempts that Stripe or your rules in Radar stopped, also where the issuer had approved before."
meaning.fr = "Les tentatives que Stripe ou vos règles Radar ont arrêtées, même si l’émetteur avait d’abord approuvé."
sum = "flow"
unit = "count"
parts = ["blocked"]
source = "https://docs.stripe.com/declines#blocked-payments"

[derived.attempt_success_rate]
title.en = "Success rate of attempts"
title.fr = "Taux de réussite des tentatives"
meaning.en = "Successful attempts among those that were answered."
meaning.fr = "La part des tentatives réussies parmi celles qui ont reçu une réponse."
unit = "share"
over = "attempts_succeeded"
under = "attempts"
source = "https://docs.stripe.com/payments/analytics/glossary"

[derived.authorization_rate]
title.en = "Authorization rate"
title.fr = "Taux d’autorisation"
meaning.en = "Card attempts that the issuer approved among those sent to it: without those blocked or not finished with 3D Secure."
meaning.fr = "La part des tentatives par carte approuvées par l’émetteur parmi celles qui lui ont été envoyées : sans les bloquées ni les 3D Secure inachevés."
unit = "share"
over = "attempts_approved"
under = "attempts_sent"
source = "https://docs.stripe.com/payments/analytics/glossary"
*/
SELECT
  a.id AS id,
  a.account AS account,
  a.livemode AS livemode,
  a.currency AS currency,
  a.at AS at,
  a.day AS day,
  a.day_utc AS day_utc,
  a.answer AS part,
  CAST(1 AS BIGINT) AS amount,
  'charges' AS object,
  a.id AS source,
  a.customer AS customer,
  a.payment_method AS payment_method,
  a.country AS country,
  a.brand AS brand,
  a.outcome AS outcome,
  a.reason AS reason,
  a.failure_code AS failure_code,
  a.decline AS decline
FROM metrics.stg_attempts AS a
