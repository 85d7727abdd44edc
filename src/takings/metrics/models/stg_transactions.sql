/*
kind = "staging"
meaning.en = "Balance transactions with the days they fall on and the payment behind them."
meaning.fr = "Les transactions du solde, avec les jours où elles tombent et le paiement dont elles viennent."
grain = ["account", "livemode", "id"]
needs = ["stripe.balance_transactions", "stripe.charges", "stripe.disputes", "stripe.refunds"]
*/
SELECT
  t.id AS id,
  t._account AS account,
  t._livemode AS livemode,
  t.currency AS currency,
  t.created AS at,
  CAST(t.created AT TIME ZONE $zone AS DATE) AS day,
  CAST(t.created AT TIME ZONE 'UTC' AS DATE) AS day_utc,
  t.reporting_category AS category,
  t.amount AS amount,
  t.fee AS fee,
  t.net AS net,
  c.id AS charge,
  c.customer AS customer,
  json_extract_string(c.payment_method_details, '$.type') AS payment_method,
  json_extract_string(c.payment_method_details, '$.card.country') AS country
FROM stripe.balance_transactions AS t
LEFT JOIN stripe.refunds AS r ON r.id = t.source AND r._account = t._account AND r._livemode = t._livemode
LEFT JOIN stripe.disputes AS d ON d.id = t.source AND d._account = t._account AND d._livemode = t._livemode
LEFT JOIN stripe.charges AS c
  ON c.id = COALESCE(r.charge, d.charge, t.source) AND c._account = t._account AND c._livemode = t._livemode
WHERE t._deleted_at IS NULL
