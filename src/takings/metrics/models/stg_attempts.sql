/*
kind = "staging"
meaning.en = "Charges, each an attempt to pay: what the issuer, the network and Radar said, and the days it falls on."
meaning.fr = "Les paiements (charges), chacun une tentative : ce qu’ont dit l’émetteur, le réseau et Radar, et les jours où il tombe."
grain = ["account", "livemode", "id"]
needs = ["stripe.charges"]
*/
SELECT
  a.id AS id,
  a.account AS account,
  a.livemode AS livemode,
  a.currency AS currency,
  a.at AS at,
  CAST(a.at AT TIME ZONE $zone AS DATE) AS day,
  CAST(a.at AT TIME ZONE 'UTC' AS DATE) AS day_utc,
  a.amount AS amount,
  CASE WHEN a.status = 'succeeded' AND a.captured THEN a.amount_captured ELSE 0 END AS captured,
  a.status AS status,
  a.intent AS intent,
  a.customer AS customer,
  a.payment_method AS payment_method,
  a.country AS country,
  a.brand AS brand,
  a.outcome AS outcome,
  a.reason AS reason,
  a.failure_code AS failure_code,
  CASE
    -- An authorisation that was let go without a capture was approved all the same.
    WHEN a.status = 'pending' THEN 'pending'
    WHEN a.outcome = 'blocked' THEN 'blocked'
    WHEN NOT a.by_card THEN a.status
    WHEN a.status = 'succeeded' THEN 'approved'
    WHEN a.outcome = 'invalid' OR a.network_status = 'not_sent_to_network' THEN 'not_sent'
    WHEN a.outcome = 'issuer_declined' OR a.network_status = 'declined_by_network' THEN 'declined'
    ELSE 'failed'
  END AS answer,
  CASE
    WHEN a.status <> 'failed' OR a.outcome = 'blocked' THEN NULL
    WHEN a.advice = 'do_not_try_again' THEN 'hard'
    -- What Stripe does not try again until there is another payment method (its list of non-retryable codes).
    WHEN COALESCE(a.reason, a.failure_code) IN (
      'incorrect_number', 'lost_card', 'pickup_card', 'stolen_card', 'revocation_of_authorization',
      'revocation_of_all_authorizations', 'authentication_required', 'highest_risk_level', 'transaction_not_allowed'
    ) THEN 'hard'
    WHEN a.outcome = 'issuer_declined' OR a.network_status = 'declined_by_network' THEN 'soft'
  END AS decline,
  a.captured AND a.status = 'succeeded' AND a.customer IS NOT NULL AND row_number() OVER (
    PARTITION BY a.account, a.livemode, a.customer, a.captured AND a.status = 'succeeded' ORDER BY a.at, a.id
  ) = 1 AS is_first_of_customer
FROM (
  SELECT
    c.id AS id,
    c._account AS account,
    c._livemode AS livemode,
    c.currency AS currency,
    c.created AS at,
    c.amount AS amount,
    c.amount_captured AS amount_captured,
    COALESCE(c.captured, FALSE) AS captured,
    c.status AS status,
    c.payment_intent AS intent,
    c.customer AS customer,
    json_extract_string(c.payment_method_details, '$.type') AS payment_method,
    COALESCE(json_extract_string(c.payment_method_details, '$.type'), 'card') IN (
      'card', 'card_present', 'interac_present'
    ) AS by_card,
    COALESCE(
      json_extract_string(c.payment_method_details, '$.card.country'),
      json_extract_string(c.payment_method_details, '$.card_present.country'),
      json_extract_string(c.billing_details, '$.address.country')
    ) AS country,
    COALESCE(
      json_extract_string(c.payment_method_details, '$.card.brand'),
      json_extract_string(c.payment_method_details, '$.card_present.brand')
    ) AS brand,
    json_extract_string(c.outcome, '$.type') AS outcome,
    json_extract_string(c.outcome, '$.network_status') AS network_status,
    json_extract_string(c.outcome, '$.advice_code') AS advice,
    json_extract_string(c.outcome, '$.reason') AS reason,
    c.failure_code AS failure_code
  FROM stripe.charges AS c
  WHERE c._deleted_at IS NULL
) AS a
