-- Payments: one line a PaymentIntent, however many attempts it took, in the currency of the payment.
-- Unit: payments (`amount` in minor units beside). Date: the PaymentIntent's `created`.
-- failed = an attempt was made and refused, and none has succeeded; of a canceled one Stripe forgets the error, but not
-- the refused charge. Never failures: authorized but not captured, waiting for the customer or the bank, or given up
-- before any attempt.
SELECT
  p.id AS id,
  'payment_intent' AS object,
  CASE
    WHEN p.status = 'succeeded' THEN 'succeeded'
    WHEN p.status = 'requires_capture' THEN 'uncaptured'
    WHEN p.status = 'processing' THEN 'processing'
    WHEN p.status IN ('requires_payment_method', 'canceled')
      AND (json_extract_string(p.last_payment_error, '$.type') IS NOT NULL OR r.id IS NOT NULL) THEN 'failed'
    WHEN p.status = 'canceled' THEN 'canceled'
    ELSE 'incomplete'
  END AS part,
  p.status AS detail,
  p.created AS at,
  CASE WHEN p.status = 'succeeded' THEN p.amount_received ELSE p.amount END AS amount,
  p.currency AS currency,
  p.latest_charge AS source,
  p._account AS account,
  p._livemode AS livemode
FROM stripe.payment_intents AS p
LEFT JOIN (
  SELECT c.id AS id, c._account AS _account, c._livemode AS _livemode
  FROM stripe.charges AS c
  WHERE c._deleted_at IS NULL
    AND c.status = 'failed'
    AND c.created >= $start
) AS r ON r.id = p.latest_charge AND r._account = p._account AND r._livemode = p._livemode
WHERE p._deleted_at IS NULL
  AND p._livemode = $livemode
  AND p._account IN (SELECT UNNEST($accounts))
  AND p.currency = $currency
  AND p.created >= $start
  AND p.created < $end
