/*
kind = "lines"
meaning.en = "Renewals whose first attempt failed, and what became of them: recovered, lost, still in dunning; by the day of the first attempt."
meaning.fr = "Les renouvellements dont la première tentative a échoué, et leur issue : récupérés, perdus, encore en relance ; au jour de la première tentative."
grain = ["account", "livemode", "id"]
dimensions = ["customer", "subscription", "country", "payment_method", "reason", "decline"]
needs = ["metrics.stg_recurring_invoices"]

[measures.renewals_tried]
title.en = "Renewals tried"
title.fr = "Renouvellements tentés"
meaning.en = "Amounts of the recurring invoices that were charged automatically, by the day of the first attempt; the first after a trial is not among them."
meaning.fr = "Les montants des factures récurrentes débitées automatiquement, au jour de la première tentative ; la première après un essai n’en est pas."
sum = "flow"
parts = ["tried"]
source = "https://docs.stripe.com/billing/revenue-recovery/recovery-analytics"

[measures.renewals_failed]
title.en = "Renewals that failed at first"
title.fr = "Renouvellements échoués d’abord"
meaning.en = "Those of them whose first attempt failed: what was recovered, was lost or is still in dunning."
meaning.fr = "Ceux dont la première tentative a échoué : ce qui a été récupéré, perdu ou est encore en relance."
sum = "flow"
parts = ["recovered", "lost", "in_dunning"]
source = "https://docs.stripe.com/billing/revenue-recovery/recovery-analytics"

[measures.recovered]
title.en = "Recovered"
title.fr = "Récupéré"
meaning.en = "What was paid later, by any means, of renewals whose first attempt failed."
meaning.fr = "Ce qui a été payé plus tard, par tout moyen, des renouvellements dont la première tentative a échoué."
sum = "flow"
parts = ["recovered"]
source = "https://docs.stripe.com/billing/revenue-recovery/recovery-analytics"

[measures.lost]
title.en = "Lost"
title.fr = "Perdu"
meaning.en = "What was voided, given up or credited of renewals whose first attempt failed."
meaning.fr = "Ce qui a été annulé, passé en perte ou crédité des renouvellements dont la première tentative a échoué."
sum = "flow"
parts = ["lost"]
source = "https://docs.stripe.com/billing/revenue-recovery/recovery-analytics"

[measures.in_dunning]
title.en = "Still in dunning"
title.fr = "Encore en relance"
meaning.en = "What is still open of renewals whose first attempt failed."
meaning.fr = "Ce qui est encore ouvert des renouvellements dont la première tentative a échoué."
sum = "flow"
parts = ["in_dunning"]
source = "https://docs.stripe.com/billing/revenue-recovery/recovery-analytics"

[measures.renewals_tried_count]
title.en = "Renewals tried, number"
title.fr = "Renouvellements tentés, nombre"
meaning.en = "How many recurring invoices were charged automatically."
meaning.fr = "Combien de factures récurrentes ont été débitées automatiquement."
sum = "flow"
unit = "count"
parts = ["tried_count"]
source = "https://docs.stripe.com/billing/revenue-recovery/recovery-analytics"

[measures.renewals_failed_count]
title.en = "Renewals that failed at first, number"
title.fr = "Renouvellements échoués d’abord, nombre"
meaning.en = "How many of them failed at the first attempt."
meaning.fr = "Combien d’entre elles ont échoué à la première tentative."
sum = "flow"
unit = "count"
parts = ["recovered_count", "lost_count", "in_dunning_count"]
source = "https://docs.stripe.com/billing/revenue-recovery/recovery-analytics"

[measures.recovered_count]
title.en = "Recovered, number"
title.fr = "Récupérés, nombre"
meaning.en = "How many of them were paid later, by any means."
meaning.fr = "Combien d’entre elles ont été payées plus tard, par tout moyen."
sum = "flow"
unit = "count"
parts = ["recovered_count"]
source = "https://docs.stripe.com/billing/revenue-recovery/recovery-analytics"

[measures.lost_count]
title.en = "Lost, number"
title.fr = "Perdus, nombre"
meaning.en = "How many of them were voided, given up or credited in full."
meaning.fr = "Combien d’entre elles ont été annulées, passées en perte ou entièrement créditées."
sum = "flow"
unit = "count"
parts = ["lost_count"]
source = "https://docs.stripe.com/billing/revenue-recovery/recovery-analytics"

[measures.in_dunning_count]
title.en = "Still in dunning, number"
title.fr = "Encore en relance, nombre"
meaning.en = "How many of them are still open."
meaning.fr = "Combien d’entre elles sont encore ouvertes."
sum = "flow"
unit = "count"
parts = ["in_dunning_count"]
source = "https://docs.stripe.com/billing/revenue-recovery/recovery-analytics"

[derived.recovery_rate]
title.en = "Recovery rate"
title.fr = "Taux de récupération"
meaning.en = "What was recovered of the renewals that failed at first, by amount; what is still in dunning counts as not recovered yet."
meaning.fr = "La part récupérée des renouvellements échoués d’abord, en montant ; ce qui est encore en relance compte comme pas encore récupéré."
unit = "share"
over = "recovered"
under = "renewals_failed"
source = "https://docs.stripe.com/billing/revenue-recovery/recovery-analytics"

[derived.recovery_rate_by_count]
title.en = "Recovery rate, by number"
title.fr = "Taux de récupération, en nombre"
meaning.en = "Which share of the renewals that failed at first were paid later."
meaning.fr = "La part des renouvellements échoués d’abord qui ont été payés plus tard."
unit = "share"
over = "recovered_count"
under = "renewals_failed_count"
source = "https://docs.stripe.com/billing/revenue-recovery/recovery-analytics"

[derived.renewal_failure_rate]
title.en = "Failure rate of renewals"
title.fr = "Taux d’échec des renouvellements"
meaning.en = "Which share of the renewal volume failed at the first attempt."
meaning.fr = "La part du volume des renouvellements qui a échoué à la première tentative."
unit = "share"
over = "renewals_failed"
under = "renewals_tried"
source = "https://docs.stripe.com/billing/revenue-recovery/recovery-analytics"
*/
SELECT
  l.id AS id,
  l.account AS account,
  l.livemode AS livemode,
  l.currency AS currency,
  l.at AS at,
  l.day AS day,
  l.day_utc AS day_utc,
  l.part AS part,
  l.amount AS amount,
  'invoices' AS object,
  l.source AS source,
  l.customer AS customer,
  l.subscription AS subscription,
  l.country AS country,
  l.payment_method AS payment_method,
  l.reason AS reason,
  l.decline AS decline
FROM (
  SELECT
    r.id || ':' || m.part AS id,
    r.account AS account,
    r.livemode AS livemode,
    r.currency AS currency,
    r.at AS at,
    r.day AS day,
    r.day_utc AS day_utc,
    m.part AS part,
    CASE m.part
      WHEN 'tried' THEN r.amount
      WHEN 'tried_count' THEN CAST(1 AS BIGINT)
      WHEN 'recovered' THEN r.recovered
      WHEN 'in_dunning' THEN r.in_dunning
      WHEN 'lost' THEN CASE WHEN r.has_failed THEN r.amount - r.recovered - r.in_dunning ELSE 0 END
      WHEN 'recovered_count' THEN CASE WHEN r.has_failed AND r.status = 'paid' AND r.recovered > 0 THEN 1 ELSE 0 END
      WHEN 'in_dunning_count' THEN CASE WHEN r.has_failed AND r.status = 'open' THEN 1 ELSE 0 END
      ELSE CASE
        WHEN r.has_failed AND r.status <> 'open' AND NOT (r.status = 'paid' AND r.recovered > 0) THEN 1 ELSE 0
      END
    END AS amount,
    r.id AS source,
    r.customer AS customer,
    r.subscription AS subscription,
    r.country AS country,
    r.payment_method AS payment_method,
    r.reason AS reason,
    r.decline AS decline
  FROM metrics.stg_recurring_invoices AS r
  CROSS JOIN (
    SELECT 'tried' AS part
    UNION ALL SELECT 'tried_count' AS part
    UNION ALL SELECT 'recovered' AS part
    UNION ALL SELECT 'recovered_count' AS part
    UNION ALL SELECT 'lost' AS part
    UNION ALL SELECT 'lost_count' AS part
    UNION ALL SELECT 'in_dunning' AS part
    UNION ALL SELECT 'in_dunning_count' AS part
  ) AS m
) AS l
WHERE l.amount <> 0
