/*
kind = "staging"
meaning.en = "What takes from a bill after the fact, one after the other: refunds, disputes, credit notes and their voiding, write-offs and voids."
meaning.fr = "Ce qui retire à une facture après coup, dans l’ordre : remboursements, litiges, avoirs et leur annulation, passages en perte et annulations."
grain = ["account", "livemode", "bill", "step"]
needs = [
  "metrics.stg_recognition_payments", "metrics.stg_recognition_requests", "stripe.credit_notes",
  "stripe.customer_balance_transactions", "stripe.invoices"
]
*/
WITH marks AS (
  SELECT
    i.id AS id,
    i._account AS account,
    i._livemode AS livemode,
    i.currency AS currency,
    i.customer AS customer,
    i.total - COALESCE(i.ending_balance - i.starting_balance, 0) AS total,
    to_timestamp(CAST(json_extract_string(i.status_transitions, '$.marked_uncollectible_at') AS BIGINT)) AS uncollectible_at,
    to_timestamp(CAST(json_extract_string(i.status_transitions, '$.voided_at') AS BIGINT)) AS voided_at
  FROM stripe.invoices AS i
  WHERE i._deleted_at IS NULL AND i.status <> 'draft'
),
ends AS (
  SELECT m.*, COALESCE(m.uncollectible_at, m.voided_at) AS at,
    CASE WHEN m.uncollectible_at IS NOT NULL THEN 'uncollectible' ELSE 'voided' END AS kind
  FROM marks AS m
  WHERE m.uncollectible_at IS NOT NULL OR m.voided_at IS NOT NULL
),
owed AS (
  SELECT
    e.*,
    e.total
    - COALESCE((
      SELECT SUM(p.amount) FROM metrics.stg_recognition_payments AS p
      WHERE p.bill = e.id AND p.account = e.account AND p.livemode = e.livemode AND p.invoiced AND p.at <= e.at
        AND p.category IN ('charge', 'charge_failure', 'partial_capture_reversal', 'external')
    ), 0)
    - COALESCE((
      SELECT SUM(n.pre_payment_amount) FROM stripe.credit_notes AS n
      WHERE n.invoice = e.id AND n._account = e.account AND n._livemode = e.livemode AND n.created <= e.at
        AND n._deleted_at IS NULL AND (n.voided_at IS NULL OR n.voided_at > e.at)
    ), 0)
    - COALESCE((
      SELECT SUM(b.amount) FROM stripe.customer_balance_transactions AS b
      WHERE b.invoice = e.id AND b._account = e.account AND b._livemode = e.livemode
        AND b.type NOT IN ('applied_to_invoice', 'credit_note', 'invoice_too_large', 'invoice_too_small')
        AND (e.kind = 'voided' OR b.created <= e.at) AND b._deleted_at IS NULL
    ), 0) AS outstanding
  FROM ends AS e
),
events AS (
  SELECT
    p.account AS account,
    p.livemode AS livemode,
    p.bill AS bill,
    p.id AS id,
    p.category AS kind,
    p.at AS at,
    -p.amount AS amount,
    p.currency AS currency,
    p.settled_currency AS settled_currency,
    p.customer AS customer,
    p.object AS object,
    p.source AS source
  FROM metrics.stg_recognition_payments AS p
  WHERE p.category IN ('refund', 'dispute') AND p.charge IS NOT NULL AND p.amount < 0
  UNION ALL
  SELECT
    n._account AS account,
    n._livemode AS livemode,
    n.invoice AS bill,
    CASE WHEN a.arm = 'issued' THEN n.id ELSE n.id || ':voided' END AS id,
    CASE WHEN a.arm = 'issued' THEN 'credit_note' ELSE 'credit_note_voided' END AS kind,
    CASE WHEN a.arm = 'issued' THEN n.created ELSE n.voided_at END AS at,
    CASE WHEN a.arm = 'issued' THEN 1 ELSE -1 END * (n.amount - COALESCE(list_sum(list_transform(
      json_extract(n.refunds, '$[*].amount_refunded'), lambda x: CAST(x AS BIGINT)
    )), 0)) AS amount,
    n.currency AS currency,
    n.currency AS settled_currency,
    n.customer AS customer,
    'credit_notes' AS object,
    n.id AS source
  FROM stripe.credit_notes AS n
  CROSS JOIN (SELECT 'issued' AS arm UNION ALL SELECT 'voided' AS arm) AS a
  WHERE n._deleted_at IS NULL AND (a.arm = 'issued' OR n.voided_at IS NOT NULL)
  UNION ALL
  SELECT
    o.account AS account,
    o.livemode AS livemode,
    o.id AS bill,
    o.id || ':' || o.kind AS id,
    o.kind AS kind,
    o.at AS at,
    o.outstanding AS amount,
    o.currency AS currency,
    o.currency AS settled_currency,
    o.customer AS customer,
    'invoices' AS object,
    o.id AS source
  FROM owed AS o
  WHERE o.outstanding > 0
)
SELECT
  e.account AS account,
  e.livemode AS livemode,
  e.bill AS bill,
  row_number() OVER (PARTITION BY e.account, e.livemode, e.bill ORDER BY e.at, e.kind, e.id) AS step,
  e.id AS id,
  e.kind AS kind,
  e.at AS at,
  CAST(e.amount AS BIGINT) AS amount,
  e.currency AS currency,
  e.settled_currency AS settled_currency,
  e.customer AS customer,
  e.object AS object,
  e.source AS source,
  EXISTS (
    SELECT 1 FROM metrics.stg_recognition_requests AS q
    WHERE q.event = e.id AND q.account = e.account AND q.livemode = e.livemode
  ) AS given
FROM events AS e
WHERE e.amount <> 0
