/*
kind = "lines"
meaning.en = "Each change of what metered items of subscriptions that count bring a month, as it was invoiced last."
meaning.fr = "Chaque changement de ce que rapportent par mois les éléments à la consommation des abonnements qui comptent, tel qu’il a été facturé en dernier."
grain = ["account", "livemode", "id"]
dimensions = ["customer", "subscription", "price", "product", "billing_interval", "reason", "country", "basis"]
needs = ["metrics.stg_item_changes"]

[measures.usage_mrr]
title.en = "Usage MRR"
title.fr = "MRR à la consommation"
meaning.en = "What was invoiced for metered prices over the last whole billing period of each item, less its discounts and without tax, brought to a month; from the day that invoice was final, as long as the subscription counts. It is what was used, not what is agreed: no part of MRR, unless the policy says so."
meaning.fr = "Ce qui a été facturé pour les prix à la consommation sur la dernière période de facturation entière de chaque élément, moins ses réductions et sans taxe, ramené au mois ; à partir du jour où cette facture est définitive, tant que l’abonnement compte. C’est ce qui a été consommé, non ce qui est convenu : hors du MRR, sauf si la politique dit autrement."
sum = "stock"
source = "https://docs.stripe.com/billing/subscriptions/analytics"
*/
SELECT
  c.id AS id,
  c.account AS account,
  c.livemode AS livemode,
  c.currency AS currency,
  c.at AS at,
  c.day AS day,
  c.day_utc AS day_utc,
  'usage' AS part,
  c.amount AS amount,
  'subscription_items' AS object,
  c.item AS source,
  c.customer AS customer,
  c.subscription AS subscription,
  c.price AS price,
  c.product AS product,
  c.billing_interval AS billing_interval,
  c.reason AS reason,
  c.country AS country,
  c.basis AS basis
FROM metrics.stg_item_changes AS c
WHERE c.metered
