/*
kind = "lines"
meaning.en = "MRR, and each thing that is already decided of subscriptions, with what it will do to MRR: cancellations, phases of schedules, ends of discounts. A thing stands here from the moment it was known until it comes or is called off."
meaning.fr = "Le MRR, et chaque chose déjà décidée des abonnements, avec ce qu’elle fera au MRR : résiliations, phases d’échéanciers, fins de réductions. Une chose figure ici du moment où elle a été connue jusqu’à ce qu’elle advienne ou soit annulée."
grain = ["account", "livemode", "id"]
dimensions = ["customer", "subscription", "price", "product", "billing_interval", "due", "country", "basis"]
needs = ["metrics.mrr_lines", "metrics.stg_committed_changes"]

[measures.committed_mrr]
title.en = "Committed MRR"
title.fr = "MRR engagé"
meaning.en = "What MRR will be once all that is already decided has come, whatever its date: MRR less scheduled cancellations, with the phases of schedules to come and without discounts that expire. A trial that will end, a pause that will resume and a change that waits for its payment are not decided."
meaning.fr = "Ce que sera le MRR une fois advenu tout ce qui est déjà décidé, quelle qu’en soit la date : le MRR moins les résiliations programmées, avec les phases d’échéanciers à venir et sans les réductions qui expirent. Un essai qui finira, une pause qui reprendra et un changement qui attend son paiement ne sont pas décidés."
sum = "stock"
source = "https://docs.stripe.com/billing/subscriptions/subscription-schedules"

[measures.scheduled_cancellations]
title.en = "Scheduled cancellations"
title.fr = "Résiliations programmées"
meaning.en = "MRR of subscriptions that are to end at a date, by request or by their schedule, while the policy still counts them. Negative."
meaning.fr = "Le MRR des abonnements qui finiront à une date, sur demande ou selon leur échéancier, tant que la politique les compte encore. Négatif."
sum = "stock"
parts = ["cancellation"]
source = "https://docs.stripe.com/billing/subscriptions/subscription-schedules"

[measures.scheduled_phases]
title.en = "Phases to come"
title.fr = "Phases à venir"
meaning.en = "What the phases of subscription schedules that have not begun will add to MRR, or take off it; those of schedules without a subscription yet, too."
meaning.fr = "Ce que les phases d’échéanciers d’abonnement qui n’ont pas commencé ajouteront au MRR, ou en enlèveront ; aussi celles d’échéanciers encore sans abonnement."
sum = "stock"
parts = ["phase"]
source = "https://docs.stripe.com/billing/subscriptions/subscription-schedules"

[measures.expiring_discounts]
title.en = "Discounts that expire"
title.fr = "Réductions qui expirent"
meaning.en = "What MRR will gain when discounts that the policy counts come to their end."
meaning.fr = "Ce que gagnera le MRR quand les réductions que la politique compte arriveront à leur fin."
sum = "stock"
parts = ["discount_end"]
source = "https://docs.stripe.com/billing/subscriptions/subscription-schedules"
*/
SELECT
  m.id AS id,
  m.account AS account,
  m.livemode AS livemode,
  m.currency AS currency,
  m.at AS at,
  m.day AS day,
  m.day_utc AS day_utc,
  'mrr' AS part,
  m.amount AS amount,
  m.object AS object,
  m.source AS source,
  m.customer AS customer,
  m.subscription AS subscription,
  m.price AS price,
  m.product AS product,
  m.billing_interval AS billing_interval,
  CAST(NULL AS VARCHAR) AS due,
  m.country AS country,
  m.basis AS basis
FROM metrics.mrr_lines AS m
UNION ALL
SELECT
  c.id AS id,
  c.account AS account,
  c.livemode AS livemode,
  c.currency AS currency,
  c.at AS at,
  c.day AS day,
  c.day_utc AS day_utc,
  c.kind AS part,
  c.amount AS amount,
  c.object AS object,
  c.source AS source,
  c.customer AS customer,
  c.subscription AS subscription,
  c.price AS price,
  c.product AS product,
  c.billing_interval AS billing_interval,
  c.due AS due,
  c.country AS country,
  c.basis AS basis
FROM metrics.stg_committed_changes AS c
