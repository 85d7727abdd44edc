/*
kind = "staging"
meaning.en = "Renewals that were to be charged automatically, with what became of the first attempt and of the invoice."
meaning.fr = "Les renouvellements à débiter automatiquement, avec ce qu’il est advenu de la première tentative et de la facture."
grain = ["account", "livemode", "id"]
needs = [
  "metrics.stg_attempts", "metrics.stg_issued_invoices", "stripe.invoice_payments", "stripe.subscriptions"
]
*/
WITH tries AS (
  SELECT
    p.invoice AS invoice,
    a.account AS account,
    a.livemode AS livemode,
    arg_min(a.status, (a.at, a.id)) AS first_status,
    arg_min(a.amount, (a.at, a.id)) AS first_amount,
    min(a.at) AS first_at,
    arg_min(a.decline, (a.at, a.id)) AS decline,
    arg_min(a.reason, (a.at, a.id)) AS reason,
    arg_min(a.payment_method, (a.at, a.id)) AS payment_method
  FROM stripe.invoice_payments AS p
  INNER JOIN metrics.stg_attempts AS a
    ON a.account = p._account AND a.livemode = p._livemode
    AND COALESCE(a.intent, a.id) = COALESCE(
      json_extract_string(p.payment, '$.payment_intent'), json_extract_string(p.payment, '$.charge')
    )
  WHERE p._deleted_at IS NULL
  GROUP BY ALL
)
SELECT
  r.*,
  CAST(r.at AT TIME ZONE $zone AS DATE) AS day,
  CAST(r.at AT TIME ZONE 'UTC' AS DATE) AS day_utc,
  CASE WHEN r.has_failed THEN LEAST(r.amount, r.amount_paid) ELSE 0 END AS recovered,
  CASE WHEN r.has_failed AND r.status = 'open'
    THEN GREATEST(0, LEAST(r.amount - LEAST(r.amount, r.amount_paid), r.amount_remaining)) ELSE 0
  END AS in_dunning
FROM (
  SELECT
    i.id AS id,
    i.account AS account,
    i.livemode AS livemode,
    i.currency AS currency,
    COALESCE(t.first_at, i.finalized_at) AS at,
    COALESCE(t.first_amount, i.amount_due) AS amount,
    i.amount_paid AS amount_paid,
    i.amount_remaining AS amount_remaining,
    i.status AS status,
    i.customer AS customer,
    i.subscription AS subscription,
    i.country AS country,
    t.payment_method AS payment_method,
    t.reason AS reason,
    t.decline AS decline,
    -- An attempt may fail without a charge (3D Secure, no payment method): then the count of attempts tells it,
    -- or that it was tried and nothing came of it.
    COALESCE(t.first_status = 'failed', FALSE)
      OR (COALESCE(t.first_status, '') <> 'pending' AND i.attempt_count >= 2)
      OR (t.first_status IS NULL AND i.status <> 'paid') AS has_failed
  FROM metrics.stg_issued_invoices AS i
  LEFT JOIN tries AS t ON t.invoice = i.id AND t.account = i.account AND t.livemode = i.livemode
  LEFT JOIN stripe.subscriptions AS s ON s.id = i.subscription AND s._account = i.account AND s._livemode = i.livemode
  WHERE i.billing_reason IN ('subscription_cycle', 'subscription_threshold')
    AND i.collection_method = 'charge_automatically'
    AND i.attempted
    -- The first payment after a trial is no renewal, as in Stripe.s own recovery analytics.
    AND i.period_end IS DISTINCT FROM s.trial_end
) AS r
WHERE r.amount > 0
