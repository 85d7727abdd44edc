/*
kind = "staging"
meaning.en = "What changed what an invoice asks for, each with its own date: finalised, balance applied, paid, credited, written off, voided."
meaning.fr = "Ce qui a changé le dû d’une facture, chacun à sa date : finalisation, solde appliqué, paiement, avoir, passage en perte, annulation."
grain = ["account", "livemode", "id"]
needs = ["metrics.stg_issued_credit_notes", "metrics.stg_issued_invoices", "stripe.invoice_payments"]
*/
WITH paid AS (
  SELECT
    p.id AS id,
    p._account AS account,
    p._livemode AS livemode,
    p.invoice AS invoice,
    p.amount_paid AS amount,
    COALESCE(
      to_timestamp(CAST(json_extract_string(p.status_transitions, '$.paid_at') AS BIGINT)), i.paid_at, p.created
    ) AS at
  FROM stripe.invoice_payments AS p
  INNER JOIN metrics.stg_issued_invoices AS i
    ON i.id = p.invoice AND i.account = p._account AND i.livemode = p._livemode
  WHERE p._deleted_at IS NULL AND p.status = 'paid' AND p.amount_paid <> 0
),
dated AS (
  SELECT
    i.id || ':finalized' AS id, i.account AS account, i.livemode AS livemode, i.id AS invoice, 1 AS step,
    'finalized' AS part, i.finalized_at AS at, i.total AS amount, 'invoices' AS object, i.id AS source
  FROM metrics.stg_issued_invoices AS i
  UNION ALL
  SELECT
    i.id || ':balance' AS id, i.account AS account, i.livemode AS livemode, i.id AS invoice, 2 AS step,
    'applied_balance' AS part, i.finalized_at AS at, -i.applied_balance AS amount, 'invoices' AS object, i.id AS source
  FROM metrics.stg_issued_invoices AS i
  UNION ALL
  SELECT
    n.id || ':issued' AS id, n.account AS account, n.livemode AS livemode, n.invoice AS invoice, 3 AS step,
    'credit_note' AS part, n.at AS at, -n.pre_payment AS amount, 'credit_notes' AS object, n.id AS source
  FROM metrics.stg_issued_credit_notes AS n
  UNION ALL
  SELECT
    n.id || ':voided' AS id, n.account AS account, n.livemode AS livemode, n.invoice AS invoice, 4 AS step,
    'credit_note' AS part, n.voided_at AS at, n.pre_payment AS amount, 'credit_notes' AS object, n.id AS source
  FROM metrics.stg_issued_credit_notes AS n
  WHERE n.voided_at IS NOT NULL
  UNION ALL
  SELECT
    p.id AS id, p.account AS account, p.livemode AS livemode, p.invoice AS invoice, 5 AS step,
    'payment' AS part, p.at AS at, -p.amount AS amount, 'invoice_payments' AS object, p.id AS source
  FROM paid AS p
  UNION ALL
  -- Paid outside Stripe: the invoice says how much in all, and no payment says when. Its own date of payment is the best there is.
  SELECT
    i.id || ':outside' AS id, i.account AS account, i.livemode AS livemode, i.id AS invoice, 5 AS step,
    'payment_outside' AS part, COALESCE(i.paid_at, s.last_at, i.finalized_at) AS at,
    COALESCE(s.amount, 0) - i.amount_paid AS amount, 'invoices' AS object, i.id AS source
  FROM metrics.stg_issued_invoices AS i
  LEFT JOIN (
    SELECT
      p.account AS account, p.livemode AS livemode, p.invoice AS invoice,
      CAST(SUM(p.amount) AS BIGINT) AS amount, MAX(p.at) AS last_at
    FROM paid AS p
    GROUP BY ALL
  ) AS s ON s.invoice = i.id AND s.account = i.account AND s.livemode = i.livemode
  WHERE i.amount_paid > COALESCE(s.amount, 0)
  UNION ALL
  SELECT
    i.id || ':overpaid' AS id, i.account AS account, i.livemode AS livemode, i.id AS invoice, 6 AS step,
    'overpayment' AS part, COALESCE(i.paid_at, i.finalized_at) AS at, i.amount_overpaid AS amount,
    'invoices' AS object, i.id AS source
  FROM metrics.stg_issued_invoices AS i
),
events AS (
  SELECT d.* FROM dated AS d WHERE d.amount <> 0
  UNION ALL
  -- What no object dates, so that the sum is what Stripe says remains: it is shown, never spread over the others.
  SELECT
    i.id || ':unexplained' AS id, i.account AS account, i.livemode AS livemode, i.id AS invoice, 7 AS step,
    'unexplained' AS part, COALESCE(i.paid_at, s.last_at) AS at,
    CASE WHEN i.status = 'open' THEN i.amount_remaining ELSE 0 END - s.amount AS amount,
    'invoices' AS object, i.id AS source
  FROM metrics.stg_issued_invoices AS i
  INNER JOIN (
    SELECT
      d.account AS account, d.livemode AS livemode, d.invoice AS invoice,
      CAST(SUM(d.amount) AS BIGINT) AS amount, MAX(d.at) AS last_at
    FROM dated AS d
    GROUP BY ALL
  ) AS s ON s.invoice = i.id AND s.account = i.account AND s.livemode = i.livemode
  WHERE i.status IN ('open', 'paid') AND CASE WHEN i.status = 'open' THEN i.amount_remaining ELSE 0 END <> s.amount
  UNION ALL
  SELECT
    i.id || ':uncollectible' AS id, i.account AS account, i.livemode AS livemode, i.id AS invoice, 8 AS step,
    'uncollectible' AS part, i.uncollectible_at AS at, 0 AS amount, 'invoices' AS object, i.id AS source
  FROM metrics.stg_issued_invoices AS i
  WHERE i.uncollectible_at IS NOT NULL
  UNION ALL
  SELECT
    i.id || ':void' AS id, i.account AS account, i.livemode AS livemode, i.id AS invoice, 9 AS step,
    'void' AS part, i.voided_at AS at, 0 AS amount, 'invoices' AS object, i.id AS source
  FROM metrics.stg_issued_invoices AS i
  WHERE i.voided_at IS NOT NULL
)
SELECT
  e.id AS id,
  e.account AS account,
  e.livemode AS livemode,
  i.currency AS currency,
  -- Nothing is owed before the invoice is: a credit note or payment that says it is older counts from then on.
  GREATEST(e.at, i.finalized_at) AS at,
  CAST(GREATEST(e.at, i.finalized_at) AT TIME ZONE $zone AS DATE) AS day,
  CAST(GREATEST(e.at, i.finalized_at) AT TIME ZONE 'UTC' AS DATE) AS day_utc,
  CAST(e.step AS BIGINT) AS step,
  e.part AS part,
  CAST(e.amount AS BIGINT) AS amount,
  e.object AS object,
  e.source AS source,
  e.invoice AS invoice,
  i.due_at AS due_at,
  i.customer AS customer,
  i.subscription AS subscription,
  i.country AS country,
  i.collection_method AS collection_method
FROM events AS e
INNER JOIN metrics.stg_issued_invoices AS i
  ON i.id = e.invoice AND i.account = e.account AND i.livemode = e.livemode
