/*
kind = "staging"
meaning.en = "When all that was paid of a subscription's latest invoice had been refunded, until its next invoice."
meaning.fr = "Quand tout ce qui avait été payé de la dernière facture d’un abonnement était remboursé, jusqu’à sa facture suivante."
grain = ["account", "livemode", "subscription", "since"]
needs = ["stripe.invoice_payments", "stripe.invoices", "stripe.refunds"]
*/
WITH invoices AS (
  SELECT
    i._account AS account, i._livemode AS livemode, i.id AS id, i.amount_paid AS amount_paid, i.created AS created,
    json_extract_string(i.parent, '$.subscription_details.subscription') AS subscription
  FROM stripe.invoices AS i
  WHERE i._deleted_at IS NULL AND json_extract_string(i.parent, '$.subscription_details.subscription') IS NOT NULL
),
followed AS (
  SELECT i.*,
    coalesce(lead(i.created) OVER (PARTITION BY i.account, i.livemode, i.subscription ORDER BY i.created, i.id), TIMESTAMPTZ '9999-12-31 00:00:00+00') AS until
  FROM invoices AS i
),
payments AS (
  SELECT DISTINCT p._account AS account, p._livemode AS livemode, p.invoice AS invoice,
    coalesce(json_extract_string(p.payment, '$.payment_intent'), json_extract_string(p.payment, '$.charge')) AS payment
  FROM stripe.invoice_payments AS p
  WHERE p._deleted_at IS NULL
),
refunds AS (
  SELECT r._account AS account, r._livemode AS livemode, coalesce(r.payment_intent, r.charge) AS payment, r.created AS at, r.amount AS amount, r.id AS id
  FROM stripe.refunds AS r
  WHERE r._deleted_at IS NULL AND r.status = 'succeeded'
),
running AS (
  SELECT f.account AS account, f.livemode AS livemode, f.subscription AS subscription, f.id AS invoice, f.amount_paid AS amount_paid, f.until AS until,
    r.at AS at, sum(r.amount) OVER (PARTITION BY f.account, f.livemode, f.id ORDER BY r.at, r.id) AS refunded
  FROM followed AS f
  JOIN payments AS p ON p.account = f.account AND p.livemode = f.livemode AND p.invoice = f.id
  JOIN refunds AS r ON r.account = p.account AND r.livemode = p.livemode AND r.payment = p.payment
  WHERE f.amount_paid > 0 AND $refunds = 'out'
)
SELECT
  r.account AS account,
  r.livemode AS livemode,
  r.subscription AS subscription,
  min(r.at) AS since,
  r.until AS until,
  r.invoice AS invoice
FROM running AS r
WHERE r.refunded >= r.amount_paid AND r.at < r.until
GROUP BY r.account, r.livemode, r.subscription, r.until, r.invoice
