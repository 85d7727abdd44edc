/*
kind = "staging"
meaning.en = "Refunds and disputes with the payment they are of, by their own day and by the day of that payment."
meaning.fr = "Les remboursements et litiges avec le paiement dont ils viennent, à leur propre jour et à celui de ce paiement."
grain = ["account", "livemode", "id"]
needs = ["metrics.stg_attempts", "stripe.balance_transactions", "stripe.disputes", "stripe.refunds"]
*/
WITH given AS (
  SELECT
    r.id AS id,
    r._account AS account,
    r._livemode AS livemode,
    r.currency AS currency,
    r.created AS at,
    r.amount AS amount,
    'refund' AS kind,
    r.charge AS charge,
    f.created AS failed_at,
    r.reason AS reason
  FROM stripe.refunds AS r
  LEFT JOIN stripe.balance_transactions AS f
    ON f.id = r.failure_balance_transaction AND f._account = r._account AND f._livemode = r._livemode
  LEFT JOIN stripe.balance_transactions AS t
    ON t.id = r.balance_transaction AND t._account = r._account AND t._livemode = r._livemode
  LEFT JOIN metrics.stg_attempts AS a ON a.id = r.charge AND a.account = r._account AND a.livemode = r._livemode
  WHERE r._deleted_at IS NULL
    -- One that failed or was called off gave nothing back; where Stripe booked its way back, it went and came on two days.
    AND (r.status NOT IN ('failed', 'canceled') OR f.id IS NOT NULL)
    -- Letting go of what was authorised and not captured makes a refund too, of money that never came.
    AND COALESCE(t.reporting_category, '') <> 'partial_capture_reversal'
    AND COALESCE(a.captured, 1) > 0
  UNION ALL
  SELECT
    d.id AS id,
    d._account AS account,
    d._livemode AS livemode,
    d.currency AS currency,
    d.created AS at,
    d.amount AS amount,
    CASE WHEN d.status LIKE 'warning%' OR d.status = 'prevented' THEN 'inquiry' ELSE 'dispute' END AS kind,
    d.charge AS charge,
    NULL AS failed_at,
    d.reason AS reason
  FROM stripe.disputes AS d
  WHERE d._deleted_at IS NULL
)
SELECT
  g.id AS id,
  g.account AS account,
  g.livemode AS livemode,
  g.currency AS currency,
  g.at AS at,
  CAST(g.at AT TIME ZONE $zone AS DATE) AS day,
  CAST(g.at AT TIME ZONE 'UTC' AS DATE) AS day_utc,
  g.failed_at AS failed_at,
  CAST(g.failed_at AT TIME ZONE $zone AS DATE) AS failed_day,
  CAST(g.failed_at AT TIME ZONE 'UTC' AS DATE) AS failed_day_utc,
  a.at AS charged_at,
  a.day AS charged_day,
  a.day_utc AS charged_day_utc,
  g.amount AS amount,
  g.kind AS kind,
  g.charge AS charge,
  g.reason AS reason,
  a.customer AS customer,
  a.payment_method AS payment_method,
  a.country AS country,
  a.brand AS brand
FROM given AS g
LEFT JOIN metrics.stg_attempts AS a ON a.id = g.charge AND a.account = g.account AND a.livemode = g.livemode
