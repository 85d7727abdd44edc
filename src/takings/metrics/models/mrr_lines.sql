/*
kind = "lines"
meaning.en = "Each change of monthly recurring revenue, item by item of every subscription, in the movement that its customer's day comes to."
meaning.fr = "Chaque changement du revenu mensuel récurrent, élément par élément de chaque abonnement, dans le mouvement auquel revient la journée de son client."
grain = ["account", "livemode", "id"]
dimensions = ["customer", "subscription", "price", "product", "billing_interval", "reason", "country", "basis", "cohort", "slot"]
needs = ["metrics.stg_mrr_changes"]

[measures.mrr]
title.en = "MRR"
title.fr = "MRR"
meaning.en = "Monthly recurring revenue at the end of a day: what subscriptions that count bill, brought to a month, less discounts, without tax, metered use and one-off items. Before the first state that was seen, it is reconstructed from invoices (basis)."
meaning.fr = "Revenu mensuel récurrent à la fin d’un jour : ce que facturent les abonnements qui comptent, ramené au mois, moins les réductions, sans taxe, ni consommation mesurée, ni éléments ponctuels. Avant le premier état vu, il est reconstitué d’après les factures (basis)."
sum = "stock"
source = "https://docs.stripe.com/billing/subscriptions/analytics/glossary"

[measures.new_mrr]
title.en = "New MRR"
title.fr = "Nouveau MRR"
meaning.en = "MRR of customers who had none ever before, in this currency."
meaning.fr = "Le MRR des clients qui n’en avaient jamais eu, dans cette monnaie."
sum = "flow"
parts = ["new"]
source = "https://docs.stripe.com/billing/subscriptions/analytics/glossary"

[measures.reactivation_mrr]
title.en = "Reactivation MRR"
title.fr = "MRR réactivé"
meaning.en = "MRR of customers who had some once, then none, and now again."
meaning.fr = "Le MRR des clients qui en avaient eu, puis plus, et qui en ont de nouveau."
sum = "flow"
parts = ["reactivation"]
source = "https://docs.stripe.com/billing/subscriptions/analytics/glossary"

[measures.expansion_mrr]
title.en = "Expansion MRR"
title.fr = "MRR d’expansion"
meaning.en = "What MRR of customers who had some grew by over a day, all their subscriptions taken together."
meaning.fr = "Ce dont le MRR des clients qui en avaient a grandi sur un jour, tous leurs abonnements ensemble."
sum = "flow"
parts = ["expansion"]
source = "https://docs.stripe.com/billing/subscriptions/analytics/glossary"

[measures.contraction_mrr]
title.en = "Contraction MRR"
title.fr = "MRR de contraction"
meaning.en = "What MRR of customers who keep some shrank by over a day, all their subscriptions taken together. Negative."
meaning.fr = "Ce dont le MRR des clients qui en gardent a diminué sur un jour, tous leurs abonnements ensemble. Négatif."
sum = "flow"
parts = ["contraction"]
source = "https://docs.stripe.com/billing/subscriptions/analytics/glossary"

[measures.churned_mrr]
title.en = "Churned MRR"
title.fr = "MRR perdu"
meaning.en = "MRR of customers who went down to none. Negative. Who asks to cancel at the end of the period counts from the request on, unless the policy says otherwise."
meaning.fr = "Le MRR des clients tombés à zéro. Négatif. Qui demande à résilier en fin de période compte dès la demande, sauf si la politique dit autrement."
sum = "flow"
parts = ["churn"]
source = "https://docs.stripe.com/billing/subscriptions/analytics/glossary"

[measures.net_new_mrr]
title.en = "Net new MRR"
title.fr = "MRR net nouveau"
meaning.en = "All movements together: closing less opening."
meaning.fr = "Tous les mouvements ensemble : la clôture moins l’ouverture."
sum = "flow"
source = "https://docs.stripe.com/billing/subscriptions/analytics/glossary"

[measures.gained_mrr]
title.en = "Gained MRR"
title.fr = "MRR gagné"
meaning.en = "New, reactivation and expansion MRR together."
meaning.fr = "Le MRR nouveau, réactivé et d’expansion ensemble."
sum = "flow"
parts = ["new", "reactivation", "expansion"]
source = "https://docs.stripe.com/billing/subscriptions/analytics/glossary"

[measures.lost_mrr]
title.en = "Lost MRR"
title.fr = "MRR perdu et réduit"
meaning.en = "Contraction and churned MRR together. Negative."
meaning.fr = "Le MRR de contraction et le MRR perdu ensemble. Négatif."
sum = "flow"
parts = ["contraction", "churn"]
source = "https://docs.stripe.com/billing/subscriptions/analytics/glossary"

[derived.arr]
title.en = "ARR"
title.fr = "ARR"
meaning.en = "Annual recurring revenue: MRR times 12."
meaning.fr = "Revenu annuel récurrent : le MRR multiplié par 12."
over = "mrr"
times = 12
unit = "money"
source = "https://docs.stripe.com/billing/subscriptions/analytics/glossary"

[derived.quick_ratio]
title.en = "Quick ratio"
title.fr = "Quick ratio"
meaning.en = "What was gained for each unit lost: new, reactivation and expansion MRR over contraction and churned MRR."
meaning.fr = "Ce qui a été gagné pour chaque unité perdue : MRR nouveau, réactivé et d’expansion sur MRR de contraction et perdu."
over = "gained_mrr"
under = "lost_mrr"
flip = true
unit = "number"
source = "https://chartmogul.com/saas-metrics/quick-ratio/"

[derived.mrr_churn_rate]
title.en = "MRR churn rate"
title.fr = "Taux de perte de MRR"
meaning.en = "Churned MRR over MRR at the start of the period."
meaning.fr = "Le MRR perdu sur le MRR au début de la période."
over = "churned_mrr"
under = "mrr"
under_at = "start"
flip = true
unit = "share"
source = "https://docs.stripe.com/billing/subscriptions/analytics/glossary"
*/
WITH slots AS (
  SELECT
    c.account AS account,
    c.livemode AS livemode,
    c.customer AS customer,
    c.currency AS currency,
    c.slot AS slot,
    MIN(c.day) AS day,
    CAST(SUM(c.amount) AS BIGINT) AS net
  FROM metrics.stg_mrr_changes AS c
  GROUP BY c.account, c.livemode, c.customer, c.currency, c.slot
),
running AS (
  SELECT
    s.account AS account,
    s.livemode AS livemode,
    s.customer AS customer,
    s.currency AS currency,
    s.slot AS slot,
    s.day AS day,
    s.net AS net,
    CAST(SUM(s.net) OVER (
      PARTITION BY s.account, s.livemode, s.customer, s.currency ORDER BY s.slot ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS BIGINT) AS closing
  FROM slots AS s
),
known AS (
  SELECT
    r.account AS account,
    r.livemode AS livemode,
    r.customer AS customer,
    r.currency AS currency,
    r.slot AS slot,
    r.day AS day,
    r.net AS net,
    r.closing AS closing,
    COALESCE(MAX(r.closing) OVER (
      PARTITION BY r.account, r.livemode, r.customer, r.currency ORDER BY r.slot ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ), 0) AS highest
  FROM running AS r
),
moved AS (
  SELECT
    k.account AS account,
    k.livemode AS livemode,
    k.customer AS customer,
    k.currency AS currency,
    k.slot AS slot,
    k.day AS day,
    CASE
      WHEN k.net = 0 THEN 'netted'
      WHEN k.closing = 0 THEN 'churn'
      WHEN k.closing = k.net AND k.highest = 0 THEN 'new'
      WHEN k.closing = k.net THEN 'reactivation'
      WHEN k.net > 0 THEN 'expansion'
      ELSE 'contraction'
    END AS part
  FROM known AS k
),
movements AS (
  SELECT
    v.account AS account,
    v.livemode AS livemode,
    v.customer AS customer,
    v.currency AS currency,
    v.slot AS slot,
    v.part AS part,
    MIN(CASE WHEN v.part = 'new' THEN SUBSTRING(CAST(v.day AS VARCHAR), 1, 7) END) OVER (
      PARTITION BY v.account, v.livemode, v.customer, v.currency
    ) AS cohort
  FROM moved AS v
),
-- What subscriptions and items began and ended with, in each currency, and whether another currency did the opposite.
turns AS (
  SELECT
    x.account AS account,
    x.livemode AS livemode,
    x.customer AS customer,
    x.currency AS currency,
    x.slot AS slot,
    SUM(CASE WHEN x.amount > 0 THEN 1 ELSE 0 END) AS starts,
    SUM(CASE WHEN x.amount < 0 THEN 1 ELSE 0 END) AS ends
  FROM metrics.stg_mrr_changes AS x
  WHERE x.reason IN ('start', 'trial_end', 'cancellation', 'item_added', 'item_removed')
  GROUP BY x.account, x.livemode, x.customer, x.currency, x.slot
),
currencies AS (
  SELECT
    t.account AS account,
    t.livemode AS livemode,
    t.customer AS customer,
    t.slot AS slot,
    SUM(CASE WHEN t.starts > 0 AND t.ends = 0 THEN 1 ELSE 0 END) AS entered,
    SUM(CASE WHEN t.ends > 0 AND t.starts = 0 THEN 1 ELSE 0 END) AS left_behind
  FROM turns AS t
  GROUP BY t.account, t.livemode, t.customer, t.slot
)
SELECT
  c.id AS id,
  c.account AS account,
  c.livemode AS livemode,
  c.currency AS currency,
  c.at AS at,
  c.day AS day,
  c.day_utc AS day_utc,
  m.part AS part,
  c.amount AS amount,
  'subscription_items' AS object,
  c.item AS source,
  c.customer AS customer,
  c.subscription AS subscription,
  c.price AS price,
  c.product AS product,
  c.billing_interval AS billing_interval,
  CASE
    WHEN (m.part IN ('new', 'reactivation', 'churn') OR c.reason IN ('start', 'trial_end', 'cancellation', 'item_added', 'item_removed'))
      AND ((w.ends > 0 AND w.starts = 0 AND o.entered > 0) OR (w.starts > 0 AND w.ends = 0 AND o.left_behind > 0)) THEN 'currency'
    WHEN m.part IN ('expansion', 'contraction', 'netted') AND c.reason IN ('start', 'trial_end', 'cancellation', 'item_added', 'item_removed')
      AND w.starts > 0 AND w.ends > 0 THEN 'plan_switch'
    ELSE c.reason
  END AS reason,
  c.country AS country,
  c.basis AS basis,
  m.cohort AS cohort,
  c.slot AS slot
FROM metrics.stg_mrr_changes AS c
JOIN movements AS m
  ON m.account = c.account AND m.livemode = c.livemode AND m.customer = c.customer AND m.currency = c.currency AND m.slot = c.slot
LEFT JOIN turns AS w
  ON w.account = c.account AND w.livemode = c.livemode AND w.customer = c.customer AND w.currency = c.currency AND w.slot = c.slot
LEFT JOIN currencies AS o
  ON o.account = c.account AND o.livemode = c.livemode AND o.customer = c.customer AND o.slot = c.slot
