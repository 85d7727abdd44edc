/*
kind = "windows"
meaning.en = "What became, over a period, of the recurring revenue that stood at its start, customer by customer: it cannot be had by adding up days, so it is worked out for each period that is asked for."
meaning.fr = "Ce qu’est devenu, sur une période, le revenu récurrent qui existait à son début, client par client : cela ne s’obtient pas en additionnant des jours, donc c’est calculé pour chaque période demandée."
grain = ["account", "livemode", "id"]
dimensions = ["customer", "country", "cohort"]
needs = ["metrics.mrr_lines"]

[measures.starting_mrr]
title.en = "MRR at the start"
title.fr = "MRR au début"
meaning.en = "MRR of the customers who had some when the period began."
meaning.fr = "Le MRR des clients qui en avaient au début de la période."
sum = "window"
parts = ["start"]
source = "https://docs.stripe.com/billing/subscriptions/analytics/glossary"

[measures.retained_mrr]
title.en = "Retained MRR"
title.fr = "MRR conservé"
meaning.en = "What these customers have at the end of the period, expansion included. Who lost all of it within the period has nothing, even after coming back: reactivation is no retention."
meaning.fr = "Ce qu’ont ces clients à la fin de la période, expansion comprise. Qui a tout perdu pendant la période n’a rien, même revenu depuis : une réactivation n’est pas de la rétention."
sum = "window"
parts = ["kept"]
source = "https://docs.stripe.com/billing/subscriptions/analytics/glossary"

[measures.retained_mrr_capped]
title.en = "Retained MRR without expansion"
title.fr = "MRR conservé hors expansion"
meaning.en = "As retained MRR, each customer counted with at most what it had at the start."
meaning.fr = "Comme le MRR conservé, chaque client compté au plus pour ce qu’il avait au début."
sum = "window"
parts = ["kept_capped"]
source = "https://docs.stripe.com/billing/subscriptions/analytics/glossary"

[measures.starting_mrr_12]
title.en = "MRR twelve months before"
title.fr = "MRR douze mois plus tôt"
meaning.en = "MRR of the customers who had some twelve months before the end of the period."
meaning.fr = "Le MRR des clients qui en avaient douze mois avant la fin de la période."
sum = "window"
parts = ["start"]
trailing = 12
source = "https://docs.stripe.com/billing/subscriptions/analytics/glossary"

[measures.retained_mrr_12]
title.en = "MRR retained for twelve months"
title.fr = "MRR conservé sur douze mois"
meaning.en = "What the customers of twelve months before have at the end of the period, as retained MRR."
meaning.fr = "Ce qu’ont à la fin de la période les clients de douze mois plus tôt, comme le MRR conservé."
sum = "window"
parts = ["kept"]
trailing = 12
source = "https://docs.stripe.com/billing/subscriptions/analytics/glossary"

[measures.retained_mrr_capped_12]
title.en = "MRR retained for twelve months without expansion"
title.fr = "MRR conservé sur douze mois hors expansion"
meaning.en = "As MRR retained for twelve months, each customer counted with at most what it had then."
meaning.fr = "Comme le MRR conservé sur douze mois, chaque client compté au plus pour ce qu’il avait alors."
sum = "window"
parts = ["kept_capped"]
trailing = 12
source = "https://docs.stripe.com/billing/subscriptions/analytics/glossary"

[measures.starting_subscribers]
title.en = "Subscribers at the start"
title.fr = "Abonnés au début"
meaning.en = "Customers who had MRR when the period began."
meaning.fr = "Les clients qui avaient du MRR au début de la période."
sum = "window"
unit = "count"
parts = ["present"]
source = "https://docs.stripe.com/billing/subscriptions/analytics/glossary"

[measures.starting_subscribers_lost]
title.en = "Of those at the start, lost"
title.fr = "Parmi ceux du début, perdus"
meaning.en = "Those of them who lost all of their MRR within the period; who moved to another currency did not."
meaning.fr = "Ceux d’entre eux qui ont perdu tout leur MRR pendant la période ; qui est passé à une autre monnaie n’en est pas."
sum = "window"
unit = "count"
parts = ["lost"]
source = "https://docs.stripe.com/billing/subscriptions/analytics/glossary"

[measures.subscribers_at_risk]
title.en = "Subscribers at the start, and new ones"
title.fr = "Abonnés au début, et nouveaux"
meaning.en = "Customers who had MRR when the period began, and those who had some for the first time within it."
meaning.fr = "Les clients qui avaient du MRR au début de la période, et ceux qui en ont eu pour la première fois pendant celle-ci."
sum = "window"
unit = "count"
parts = ["present", "came"]
source = "https://docs.stripe.com/billing/subscriptions/analytics/glossary"

[measures.subscribers_lost]
title.en = "Of those at the start and new ones, lost"
title.fr = "Parmi ceux du début et les nouveaux, perdus"
meaning.en = "Those of them who lost all of their MRR within the period; who moved to another currency did not."
meaning.fr = "Ceux d’entre eux qui ont perdu tout leur MRR pendant la période ; qui est passé à une autre monnaie n’en est pas."
sum = "window"
unit = "count"
parts = ["lost", "came_and_lost"]
source = "https://docs.stripe.com/billing/subscriptions/analytics/glossary"

[derived.nrr]
title.en = "Net retention (NRR)"
title.fr = "Rétention nette (NRR)"
meaning.en = "Retained MRR over MRR at the start of the period."
meaning.fr = "Le MRR conservé sur le MRR au début de la période."
over = "retained_mrr"
under = "starting_mrr"
unit = "share"
source = "https://docs.stripe.com/billing/subscriptions/analytics/glossary"

[derived.grr]
title.en = "Gross retention (GRR)"
title.fr = "Rétention brute (GRR)"
meaning.en = "Retained MRR without expansion over MRR at the start of the period. Never above 100%."
meaning.fr = "Le MRR conservé hors expansion sur le MRR au début de la période. Jamais plus de 100 %."
over = "retained_mrr_capped"
under = "starting_mrr"
unit = "share"
source = "https://docs.stripe.com/billing/subscriptions/analytics/glossary"

[derived.nrr_12]
title.en = "NRR, 12 months"
title.fr = "NRR, 12 mois"
meaning.en = "Net revenue retention over the twelve months that end with the period."
meaning.fr = "La rétention nette du revenu sur les douze mois qui finissent avec la période."
over = "retained_mrr_12"
under = "starting_mrr_12"
unit = "share"
source = "https://docs.stripe.com/billing/subscriptions/analytics/glossary"

[derived.grr_12]
title.en = "GRR, 12 months"
title.fr = "GRR, 12 mois"
meaning.en = "Gross revenue retention over the twelve months that end with the period."
meaning.fr = "La rétention brute du revenu sur les douze mois qui finissent avec la période."
over = "retained_mrr_capped_12"
under = "starting_mrr_12"
unit = "share"
source = "https://docs.stripe.com/billing/subscriptions/analytics/glossary"

[derived.logo_churn]
title.en = "Logo churn"
title.fr = "Taux de départ"
meaning.en = "Of the subscribers at the start of the period, the share who lost all of their MRR within it."
meaning.fr = "Parmi les abonnés du début de la période, la part de ceux qui ont perdu tout leur MRR pendant celle-ci."
over = "starting_subscribers_lost"
under = "starting_subscribers"
unit = "share"
source = "https://docs.stripe.com/billing/subscriptions/analytics/glossary"

[derived.logo_churn_stripe]
title.en = "Logo churn, as Stripe counts it"
title.fr = "Taux de départ, au sens de Stripe"
meaning.en = "Subscribers lost within the period over those at its start and new ones together."
meaning.fr = "Les abonnés perdus pendant la période sur ceux du début et les nouveaux ensemble."
over = "subscribers_lost"
under = "subscribers_at_risk"
unit = "share"
source = "https://docs.stripe.com/billing/subscriptions/analytics/glossary"
*/
WITH customers AS (
  SELECT
    l.account AS account,
    l.livemode AS livemode,
    l.customer AS customer,
    l.currency AS currency,
    w.since AS since,
    w.until AS until,
    SUM(CASE WHEN l.day < w.since THEN l.amount ELSE 0 END) AS opening,
    SUM(l.amount) AS closing,
    MAX(CASE WHEN l.day >= w.since AND l.part = 'churn' THEN 1 ELSE 0 END) AS churned,
    MAX(CASE WHEN l.day >= w.since AND l.part = 'churn' AND l.reason <> 'currency' THEN 1 ELSE 0 END) AS gone,
    MAX(CASE WHEN l.day >= w.since AND l.part = 'new' THEN 1 ELSE 0 END) AS came,
    MAX(l.at) AS at,
    MAX(l.country) AS country,
    MAX(l.cohort) AS cohort,
    MAX(l.known_at) AS known_at
  FROM metrics.mrr_lines AS l
  JOIN windows AS w ON l.day < w.until
  GROUP BY l.account, l.livemode, l.customer, l.currency, w.since, w.until
),
parts AS (
  SELECT c.*, 'start' AS part, c.opening AS amount
  FROM customers AS c
  WHERE c.opening > 0
  UNION ALL
  SELECT c.*, 'kept' AS part, CASE WHEN c.churned = 1 THEN 0 ELSE c.closing END AS amount
  FROM customers AS c
  WHERE c.opening > 0
  UNION ALL
  SELECT
    c.*,
    'kept_capped' AS part,
    CASE WHEN c.churned = 1 THEN 0 WHEN c.closing < c.opening THEN c.closing ELSE c.opening END AS amount
  FROM customers AS c
  WHERE c.opening > 0
  UNION ALL
  SELECT c.*, 'present' AS part, 1 AS amount
  FROM customers AS c
  WHERE c.opening > 0
  UNION ALL
  SELECT c.*, 'came' AS part, 1 AS amount
  FROM customers AS c
  WHERE c.opening <= 0 AND c.came = 1
  UNION ALL
  SELECT c.*, CASE WHEN c.opening > 0 THEN 'lost' ELSE 'came_and_lost' END AS part, 1 AS amount
  FROM customers AS c
  WHERE c.gone = 1 AND (c.opening > 0 OR c.came = 1)
)
SELECT
  p.customer || ':' || p.currency || ':' || p.part || ':' || CAST(p.until AS VARCHAR) AS id,
  p.account AS account,
  p.livemode AS livemode,
  p.currency AS currency,
  p.at AS at,
  CAST(p.until - INTERVAL '1' DAY AS DATE) AS day,
  CAST(p.until - INTERVAL '1' DAY AS DATE) AS day_utc,
  p.part AS part,
  CAST(p.amount AS BIGINT) AS amount,
  'customers' AS object,
  p.customer AS source,
  p.customer AS customer,
  p.country AS country,
  p.cohort AS cohort,
  p.known_at AS known_at
FROM parts AS p
