-- Attempts: one line a charge, in the currency of the payment.
-- Unit: attempts (`amount` in minor units beside). Date: the charge's `created`.
-- authorized = the issuer said yes (captured or not). declined = the issuer said no. blocked = stopped before it was
-- sent to the issuer, by Radar or as invalid. Authorization rate = authorized / (authorized + declined).
SELECT
  c.id AS id,
  'charge' AS object,
  CASE
    WHEN c.status = 'succeeded' THEN 'authorized'
    WHEN c.status = 'pending' THEN 'pending'
    WHEN json_extract_string(c.outcome, '$.type') = 'issuer_declined' THEN 'declined'
    WHEN json_extract_string(c.outcome, '$.type') IN ('blocked', 'invalid') THEN 'blocked'
    ELSE 'declined'
  END AS part,
  CASE
    WHEN c.status = 'failed' THEN COALESCE(json_extract_string(c.outcome, '$.reason'), c.failure_code, 'unknown')
    WHEN c.status = 'succeeded' AND NOT c.captured THEN 'uncaptured'
    ELSE c.status
  END AS detail,
  c.created AS at,
  c.amount AS amount,
  c.currency AS currency,
  c.id AS source,
  c._account AS account,
  c._livemode AS livemode
FROM stripe.charges AS c
WHERE c._deleted_at IS NULL
  AND c._livemode = $livemode
  AND c._account IN (SELECT UNNEST($accounts))
  AND c.currency = $currency
  AND c.created >= $start
  AND c.created < $end
