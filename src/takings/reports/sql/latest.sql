-- The payments and attempts of a period, newest first: one line a charge, in the currency of the payment.
WITH page AS (
  SELECT c.*
  FROM stripe.charges AS c
  WHERE c._deleted_at IS NULL
    AND c._livemode = $livemode
    AND c._account IN (SELECT UNNEST($accounts))
    AND c.currency = $currency
    AND c.created >= $start
    AND c.created < $end
  ORDER BY c.created DESC, c.id DESC
  LIMIT $limit OFFSET $offset
)
SELECT
  p.id AS id,
  p.payment_intent AS payment_intent,
  p.created AS at,
  p.amount AS amount,
  p.amount_captured AS captured,
  p.amount_refunded AS refunded,
  p.currency AS currency,
  CASE
    WHEN p.status = 'failed' AND json_extract_string(p.outcome, '$.type') IN ('blocked', 'invalid') THEN 'blocked'
    WHEN p.status = 'failed' THEN 'failed'
    WHEN p.status = 'pending' THEN 'pending'
    WHEN p.disputed THEN 'disputed'
    WHEN p.amount_refunded > 0 AND p.refunded AND NOT p.captured THEN 'released'
    WHEN p.refunded THEN 'refunded'
    WHEN NOT p.captured THEN 'uncaptured'
    WHEN p.amount_refunded > 0 THEN 'partly_refunded'
    ELSE 'succeeded'
  END AS state,
  CASE WHEN p.status = 'failed'
    THEN COALESCE(json_extract_string(p.outcome, '$.reason'), p.failure_code, 'unknown')
  END AS reason,
  json_extract_string(p.payment_method_details, '$.type') AS method,
  json_extract_string(p.payment_method_details, '$.card.brand') AS brand,
  json_extract_string(p.payment_method_details, '$.card.last4') AS last4,
  p.customer AS customer,
  COALESCE(
    u.name,
    json_extract_string(p.billing_details, '$.name'),
    u.email,
    json_extract_string(p.billing_details, '$.email')
  ) AS customer_name,
  p.description AS description,
  p._account AS account,
  p._livemode AS livemode
FROM page AS p
LEFT JOIN stripe.customers AS u ON u.id = p.customer AND u._account = p._account AND u._livemode = p._livemode
ORDER BY p.created DESC, p.id DESC
