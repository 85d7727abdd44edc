/*
kind = "staging"
meaning.en = "What each coupon takes off and for how long, in the words of Stripe's API."
meaning.fr = "Ce que chaque bon de réduction enlève et pour combien de temps, dans les mots de l’API de Stripe."
grain = ["account", "livemode", "coupon"]
needs = ["stripe.coupons"]
*/
SELECT
  c._account AS account,
  c._livemode AS livemode,
  c.id AS coupon,
  c.duration AS duration,
  json_object(
    'percent_off', c.percent_off,
    'amount_off', c.amount_off,
    'currency', c.currency,
    'options', CAST(c.currency_options AS JSON),
    'products', json_extract(c.applies_to, '$.products')
  ) AS facts
FROM stripe.coupons AS c
