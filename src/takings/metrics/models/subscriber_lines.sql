/*
kind = "lines"
meaning.en = "Customers who come to have recurring revenue and who lose the last of it: one more, one fewer, in each currency."
meaning.fr = "Les clients qui ont désormais du revenu récurrent et ceux qui perdent le dernier : un de plus, un de moins, dans chaque monnaie."
grain = ["account", "livemode", "id"]
dimensions = ["customer", "country", "basis", "cohort"]
needs = ["metrics.mrr_lines"]

[measures.subscribers]
title.en = "Subscribers"
title.fr = "Abonnés"
meaning.en = "Customers with MRR above nothing at the end of a day. Who has some in two currencies counts in each."
meaning.fr = "Les clients dont le MRR dépasse zéro à la fin d’un jour. Qui en a dans deux monnaies compte dans chacune."
sum = "stock"
unit = "count"
source = "https://docs.stripe.com/billing/subscriptions/analytics/glossary"

[measures.new_subscribers]
title.en = "New subscribers"
title.fr = "Nouveaux abonnés"
meaning.en = "Customers with MRR for the first time; not those who came from another currency that day."
meaning.fr = "Les clients qui ont du MRR pour la première fois ; non ceux venus d’une autre monnaie ce jour-là."
sum = "flow"
unit = "count"
parts = ["new"]
source = "https://docs.stripe.com/billing/subscriptions/analytics/glossary"

[measures.reactivated_subscribers]
title.en = "Reactivated subscribers"
title.fr = "Abonnés réactivés"
meaning.en = "Customers who have MRR again after they had none."
meaning.fr = "Les clients qui ont de nouveau du MRR après n’en avoir plus eu."
sum = "flow"
unit = "count"
parts = ["reactivation"]
source = "https://docs.stripe.com/billing/subscriptions/analytics/glossary"

[measures.churned_subscribers]
title.en = "Churned subscribers"
title.fr = "Abonnés perdus"
meaning.en = "Customers who lost the last of their MRR. Negative. Involuntary where a payment failed or was disputed. Who moved to another currency that day did not leave."
meaning.fr = "Les clients qui ont perdu tout leur MRR. Négatif. Involontaire quand un paiement a échoué ou a été contesté. Qui est passé à une autre monnaie ce jour-là n’est pas parti."
sum = "flow"
unit = "count"
parts = ["churn_involuntary", "churn_voluntary"]
source = "https://docs.stripe.com/billing/subscriptions/analytics/glossary"

[measures.churned_subscribers_involuntary]
title.en = "Involuntary churn"
title.fr = "Départs involontaires"
meaning.en = "Churned subscribers of whom a payment failed or was disputed. Negative."
meaning.fr = "Les abonnés perdus dont un paiement a échoué ou a été contesté. Négatif."
sum = "flow"
unit = "count"
parts = ["churn_involuntary"]
source = "https://docs.stripe.com/api/subscriptions/object#subscription_object-cancellation_details-reason"

[measures.churned_subscribers_voluntary]
title.en = "Voluntary churn"
title.fr = "Départs volontaires"
meaning.en = "Churned subscribers who left by themselves. Negative."
meaning.fr = "Les abonnés perdus qui sont partis d’eux-mêmes. Négatif."
sum = "flow"
unit = "count"
parts = ["churn_voluntary"]
source = "https://docs.stripe.com/api/subscriptions/object#subscription_object-cancellation_details-reason"

[derived.arpa]
title.en = "ARPA"
title.fr = "ARPA"
meaning.en = "Average revenue per account: MRR over subscribers, both at the end of the period."
meaning.fr = "Revenu moyen par compte : le MRR sur les abonnés, tous deux à la fin de la période."
over = "mrr"
under = "subscribers"
unit = "money"
source = "https://docs.stripe.com/billing/subscriptions/analytics/glossary"

[derived.ltv]
title.en = "Lifetime value"
title.fr = "Valeur vie client"
meaning.en = "ARPA over logo churn, which is not rounded before: what a subscriber is expected to bring in all, if the period is a month."
meaning.fr = "L’ARPA sur le taux de départ, non arrondi avant : ce qu’un abonné devrait rapporter en tout, si la période est un mois."
over = "arpa"
under = "logo_churn"
unit = "money"
source = "https://docs.stripe.com/billing/subscriptions/analytics/glossary"
*/
SELECT
  g.id AS id,
  g.account AS account,
  g.livemode AS livemode,
  g.currency AS currency,
  g.at AS at,
  g.day AS day,
  g.day_utc AS day_utc,
  CASE
    WHEN g.moved > 0 THEN CASE WHEN g.part = 'churn' THEN 'currency_left' ELSE 'currency_entered' END
    WHEN g.part <> 'churn' THEN g.part WHEN g.failed > 0 THEN 'churn_involuntary' ELSE 'churn_voluntary'
  END AS part,
  g.amount AS amount,
  'customers' AS object,
  g.customer AS source,
  g.customer AS customer,
  g.country AS country,
  g.basis AS basis,
  g.cohort AS cohort
FROM (
  SELECT
    l.customer || ':' || l.currency || ':' || l.slot AS id,
    l.account AS account,
    l.livemode AS livemode,
    l.currency AS currency,
    MAX(l.at) AS at,
    MAX(l.day) AS day,
    MAX(l.day_utc) AS day_utc,
    l.part AS part,
    CASE WHEN l.part = 'churn' THEN -1 ELSE 1 END AS amount,
    l.customer AS customer,
    MAX(l.country) AS country,
    SUM(CASE WHEN l.reason IN ('payment_failed', 'payment_disputed', 'past_due') THEN 1 ELSE 0 END) AS failed,
    SUM(CASE WHEN l.reason = 'currency' THEN 1 ELSE 0 END) AS moved,
    MAX(l.basis) AS basis,
    MAX(l.cohort) AS cohort
  FROM metrics.mrr_lines AS l
  WHERE l.part IN ('new', 'reactivation', 'churn')
  GROUP BY l.account, l.livemode, l.customer, l.currency, l.slot, l.part
) AS g
