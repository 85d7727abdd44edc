/*
kind = "lines"
meaning.en = "Trials that began, and how those that ended did."
meaning.fr = "Les essais commencés, et l’issue de ceux qui sont terminés."
grain = ["account", "livemode", "id"]
dimensions = ["customer", "subscription", "cohort", "country", "basis"]
needs = ["metrics.stg_trials"]

[measures.trials_started]
title.en = "Trials started"
title.fr = "Essais commencés"
meaning.en = "Trials that began in the period."
meaning.fr = "Les essais commencés dans la période."
sum = "flow"
unit = "count"
parts = ["started"]
source = "https://docs.stripe.com/billing/subscriptions/analytics/glossary"

[measures.trials_ended]
title.en = "Trials ended"
title.fr = "Essais terminés"
meaning.en = "Trials that ended in the period, whatever came of them."
meaning.fr = "Les essais terminés dans la période, quelle qu’en soit l’issue."
sum = "flow"
unit = "count"
parts = ["converted", "expired"]
source = "https://docs.stripe.com/billing/subscriptions/analytics/glossary"

[measures.trials_converted]
title.en = "Trials converted"
title.fr = "Essais convertis"
meaning.en = "Trials that ended in the period and whose subscription counted within a day."
meaning.fr = "Les essais terminés dans la période dont l’abonnement comptait dans la journée."
sum = "flow"
unit = "count"
parts = ["converted"]
source = "https://docs.stripe.com/billing/subscriptions/analytics/glossary"

[derived.trial_conversion]
title.en = "Trial conversion"
title.fr = "Conversion des essais"
meaning.en = "Of the trials that ended in the period, the share that converted. Cut by cohort, of the trials that began in a month."
meaning.fr = "Parmi les essais terminés dans la période, la part convertie. Coupée par cohorte : parmi les essais commencés un mois donné."
over = "trials_converted"
under = "trials_ended"
unit = "share"
source = "https://docs.stripe.com/billing/subscriptions/analytics/glossary"
*/
SELECT
  t.subscription || ':' || t.event AS id,
  t.account AS account,
  t.livemode AS livemode,
  t.currency AS currency,
  t.at AS at,
  t.day AS day,
  t.day_utc AS day_utc,
  CASE WHEN t.event = 'start' THEN 'started' WHEN t.converted THEN 'converted' ELSE 'expired' END AS part,
  1 AS amount,
  'subscriptions' AS object,
  t.subscription AS source,
  t.customer AS customer,
  t.subscription AS subscription,
  t.cohort AS cohort,
  t.country AS country,
  t.basis AS basis
FROM metrics.stg_trials AS t
