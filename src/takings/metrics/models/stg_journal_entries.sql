/*
kind = "staging"
meaning.en = "The journal: each entry debits one account and credits another by the same amount."
meaning.fr = "Le journal : chaque écriture débite un compte et en crédite un autre du même montant."
grain = ["account", "livemode", "id"]
needs = [
  "metrics.stg_recognition_cuts", "metrics.stg_recognition_events", "metrics.stg_recognition_lines",
  "metrics.stg_recognition_months", "metrics.stg_recognition_payments", "stripe.credit_notes",
  "stripe.customer_balance_transactions", "stripe.invoices"
]
*/
WITH lines AS (
  SELECT l.*, CASE WHEN l.event = 'invoice_finalized' THEN l.bill END AS invoice
  FROM metrics.stg_recognition_lines AS l
),
accrued AS (
  SELECT m.account AS account, m.livemode AS livemode, m.line AS line, SUM(m.amount) AS amount
  FROM metrics.stg_recognition_months AS m
  WHERE m.unbilled
  GROUP BY 1, 2, 3
),
billed AS (
  SELECT
    l.id || ':' || a.arm AS id, l.account AS account, l.livemode AS livemode, l.currency AS currency,
    l.finalized_at AS at, 'AccountsReceivable' AS debit,
    CASE
      WHEN a.arm = 'tax' THEN 'TaxLiability'
      WHEN a.arm = 'unbilled' THEN 'UnbilledAccountsReceivable'
      WHEN l.starts IS NULL THEN 'Revenue'
      ELSE 'DeferredRevenue'
    END AS credit,
    CASE
      WHEN a.arm = 'tax' THEN l.tax
      WHEN a.arm = 'unbilled' THEN COALESCE(u.amount, 0)
      ELSE l.net - COALESCE(u.amount, 0)
    END AS amount,
    l.event AS event, l.object AS object, l.source AS source, l.invoice AS invoice, l.id AS line, l.customer AS customer,
    l.subscription AS subscription, l.product AS product, l.price AS price, l.booked_at AS booked_at,
    CAST(NULL AS BIGINT) AS since_s, CAST(NULL AS BIGINT) AS until_s
  FROM lines AS l
  CROSS JOIN (SELECT 'net' AS arm UNION ALL SELECT 'tax' AS arm UNION ALL SELECT 'unbilled' AS arm) AS a
  LEFT JOIN accrued AS u ON u.line = l.id AND u.account = l.account AND u.livemode = l.livemode
  WHERE l.finalized_at IS NOT NULL
),
cut_lines AS (
  SELECT DISTINCT c.account AS account, c.livemode AS livemode, c.line AS line
  FROM metrics.stg_recognition_cuts AS c
),
cut_months AS (
  SELECT m.*
  FROM metrics.stg_recognition_months AS m
  JOIN cut_lines AS k ON k.line = m.line AND k.account = m.account AND k.livemode = m.livemode
),
cut_times AS (
  SELECT
    c.account AS account, c.livemode AS livemode, c.line AS line, c.event AS event, c.step AS step,
    CAST(epoch(c.at) AS BIGINT) AS at_s,
    CASE WHEN c.stopped OR u.kind = 'uncollectible' THEN 0 ELSE c.net_left END AS net_left
  FROM metrics.stg_recognition_cuts AS c
  JOIN metrics.stg_recognition_events AS u
    ON u.id = c.event AND u.bill = c.bill AND u.account = c.account AND u.livemode = c.livemode
),
points AS (
  SELECT m.account AS account, m.livemode AS livemode, m.line AS line, m.month AS month, m.since_s AS at_s
  FROM cut_months AS m
  UNION
  SELECT m.account AS account, m.livemode AS livemode, m.line AS line, m.month AS month, c.at_s AS at_s
  FROM cut_months AS m
  JOIN cut_times AS c ON c.line = m.line AND c.account = m.account AND c.livemode = m.livemode
  WHERE c.at_s > m.since_s AND c.at_s < m.until_s
),
pieces AS (
  SELECT
    p.*,
    COALESCE(
      lead(p.at_s) OVER (PARTITION BY p.account, p.livemode, p.line, p.month ORDER BY p.at_s), m.until_s
    ) AS until_s,
    m.since_s AS month_s, m.until_s AS month_until_s, m.amount AS month_amount, m.earned_before AS earned_before,
    m.unbilled AS unbilled
  FROM points AS p
  JOIN cut_months AS m
    ON m.line = p.line AND m.month = p.month AND m.account = p.account AND m.livemode = p.livemode
),
kept AS (
  SELECT
    p.*,
    CASE WHEN c.at_s <= p.at_s THEN c.event END AS event,
    CAST(CASE WHEN c.at_s <= p.at_s THEN c.net_left ELSE l.net END AS HUGEINT) AS net_left,
    CAST(l.net AS HUGEINT) AS whole,
    p.earned_before + (CAST(p.month_amount AS HUGEINT) * (p.at_s - p.month_s)) // (p.month_until_s - p.month_s) AS earned_since,
    p.earned_before + (CAST(p.month_amount AS HUGEINT) * (p.until_s - p.month_s)) // (p.month_until_s - p.month_s) AS earned_until
  FROM pieces AS p
  JOIN metrics.stg_recognition_lines AS l ON l.id = p.line AND l.account = p.account AND l.livemode = p.livemode
  JOIN cut_times AS c ON c.line = p.line AND c.account = p.account AND c.livemode = p.livemode
  QUALIFY row_number() OVER (
    PARTITION BY p.account, p.livemode, p.line, p.at_s
    ORDER BY CASE WHEN c.at_s <= p.at_s THEN c.step END DESC NULLS LAST
  ) = 1
),
spans AS (
  SELECT
    m.line || ':' || m.month AS id, m.account AS account, m.livemode AS livemode, m.line AS line,
    m.unbilled AS unbilled, m.since_s AS since_s, m.until_s AS until_s, m.amount AS amount
  FROM metrics.stg_recognition_months AS m
  LEFT JOIN cut_lines AS k ON k.line = m.line AND k.account = m.account AND k.livemode = m.livemode
  WHERE k.line IS NULL
  UNION ALL
  SELECT
    k.line || ':' || k.month || CASE WHEN k.at_s = k.month_s THEN '' ELSE ':' || k.event END AS id,
    k.account AS account, k.livemode AS livemode, k.line AS line, k.unbilled AS unbilled, k.at_s AS since_s,
    k.until_s AS until_s,
    CAST((k.net_left * k.earned_until) // k.whole - (k.net_left * k.earned_since) // k.whole AS BIGINT) AS amount
  FROM kept AS k
),
recognized AS (
  SELECT
    s.id AS id, s.account AS account, s.livemode AS livemode, l.currency AS currency,
    to_timestamp(s.until_s - 1) AS at,
    CASE WHEN s.unbilled THEN 'UnbilledAccountsReceivable' ELSE 'DeferredRevenue' END AS debit, 'Revenue' AS credit,
    s.amount AS amount, 'revenue_recognized' AS event, l.object AS object, l.source AS source, l.invoice AS invoice,
    l.id AS line, l.customer AS customer, l.subscription AS subscription, l.product AS product, l.price AS price,
    l.booked_at AS booked_at, s.since_s AS since_s, s.until_s AS until_s
  FROM spans AS s
  JOIN lines AS l ON l.id = s.line AND l.account = s.account AND l.livemode = s.livemode
),
discarded AS (
  SELECT
    l.id || ':deleted' AS id, l.account AS account, l.livemode AS livemode, l.currency AS currency, l.gone_at AS at,
    'UnbilledVoids' AS debit, 'UnbilledAccountsReceivable' AS credit, l.net AS amount, 'invoiceitem_deleted' AS event,
    l.object AS object, l.source AS source, l.invoice AS invoice, l.id AS line, l.customer AS customer,
    l.subscription AS subscription, l.product AS product, l.price AS price, l.gone_at AS booked_at,
    CAST(NULL AS BIGINT) AS since_s, CAST(NULL AS BIGINT) AS until_s
  FROM lines AS l
  WHERE l.gone_at IS NOT NULL
),
written_off AS (
  SELECT
    e.account AS account, e.livemode AS livemode, e.bill AS bill, e.at AS at, e.step AS step,
    CAST(e.amount AS HUGEINT) AS amount, SUM(c.contra) AS contra, SUM(c.tax) AS tax
  FROM metrics.stg_recognition_events AS e
  JOIN metrics.stg_recognition_cuts AS c
    ON c.event = e.id AND c.bill = e.bill AND c.account = e.account AND c.livemode = e.livemode
  WHERE e.kind = 'uncollectible'
  GROUP BY 1, 2, 3, 4, 5, 6
),
receipts AS (
  SELECT
    p.*,
    CASE
      WHEN p.category = 'external' THEN 'ExternalAsset'
      WHEN p.settled_currency = p.currency THEN 'Cash'
      ELSE 'CurrencyExchange'
    END AS debit,
    w.bill IS NOT NULL AS late,
    CASE WHEN w.bill IS NULL THEN 0 ELSE (p.amount * w.contra) // w.amount END AS regained,
    CASE WHEN w.bill IS NULL THEN 0 ELSE (p.amount * w.tax) // w.amount END AS tax
  FROM metrics.stg_recognition_payments AS p
  LEFT JOIN written_off AS w
    ON w.bill = p.bill AND w.account = p.account AND w.livemode = p.livemode AND w.at <= p.at AND w.amount > 0
  WHERE p.category IN ('charge', 'charge_failure', 'partial_capture_reversal', 'external')
),
received AS (
  SELECT
    r.id || ':' || r.bill || CASE WHEN a.arm = 'receivable' THEN '' ELSE ':' || a.arm END AS id,
    r.account AS account, r.livemode AS livemode, r.currency AS currency, r.at AS at, r.debit AS debit,
    CASE
      WHEN a.arm = 'receivable' THEN 'AccountsReceivable'
      WHEN a.arm = 'bad_debt' THEN 'BadDebt'
      WHEN a.arm = 'tax' THEN 'TaxLiability'
      ELSE 'Recoverables'
    END AS credit,
    CASE
      WHEN a.arm = 'receivable' THEN CASE WHEN r.late THEN 0 ELSE r.amount END
      WHEN NOT r.late THEN 0
      WHEN a.arm = 'bad_debt' THEN r.regained
      WHEN a.arm = 'tax' THEN r.tax
      ELSE r.amount - r.regained - r.tax
    END AS amount,
    CASE WHEN r.invoiced THEN 'invoice_paid' ELSE 'payment' END AS event, r.object AS object, r.source AS source,
    CASE WHEN r.invoiced THEN r.bill END AS invoice, CAST(NULL AS VARCHAR) AS line, r.customer AS customer,
    CAST(NULL AS VARCHAR) AS subscription, CAST(NULL AS VARCHAR) AS product, CAST(NULL AS VARCHAR) AS price,
    r.at AS booked_at, CAST(NULL AS BIGINT) AS since_s, CAST(NULL AS BIGINT) AS until_s
  FROM receipts AS r
  CROSS JOIN (
    SELECT 'receivable' AS arm UNION ALL SELECT 'bad_debt' AS arm
    UNION ALL SELECT 'tax' AS arm UNION ALL SELECT 'recoverables' AS arm
  ) AS a
),
moved AS (
  SELECT
    p.id || ':' || p.bill || ':' || a.arm AS id, p.account AS account, p.livemode AS livemode,
    CASE WHEN a.arm = 'recovered' THEN p.currency ELSE p.settled_currency END AS currency, p.at AS at,
    CASE
      WHEN a.arm = 'fee' THEN 'Fees'
      WHEN a.arm = 'recovered' AND p.settled_currency <> p.currency THEN 'CurrencyExchange'
      ELSE 'Cash'
    END AS debit,
    CASE
      WHEN a.arm = 'fee' THEN 'Cash'
      WHEN a.arm = 'exchange' THEN 'CurrencyExchange'
      WHEN p.category IN ('refund_failure', 'dispute_reversal') THEN 'Recoverables'
      WHEN p.category IN ('fee', 'network_cost') THEN 'Fees'
      WHEN p.category IN ('platform_earning', 'platform_earning_refund') THEN 'Revenue'
      WHEN p.category IN ('transfer', 'transfer_reversal') THEN 'Transfer'
      WHEN p.category = 'refund' THEN 'Refunds'
      WHEN p.category = 'dispute' THEN 'Disputes'
      ELSE 'Suspense'
    END AS credit,
    CASE
      WHEN a.arm = 'fee' THEN p.fee
      WHEN a.arm = 'recovered' THEN p.amount
      ELSE p.settled
    END AS amount,
    CASE WHEN a.arm = 'fee' THEN 'fee' ELSE p.category END AS event, p.object AS object, p.source AS source,
    CASE WHEN p.invoiced THEN p.bill END AS invoice, CAST(NULL AS VARCHAR) AS line, p.customer AS customer,
    CAST(NULL AS VARCHAR) AS subscription, CAST(NULL AS VARCHAR) AS product, CAST(NULL AS VARCHAR) AS price,
    p.at AS booked_at, CAST(NULL AS BIGINT) AS since_s, CAST(NULL AS BIGINT) AS until_s
  FROM metrics.stg_recognition_payments AS p
  CROSS JOIN (
    SELECT 'fee' AS arm UNION ALL SELECT 'exchange' AS arm
    UNION ALL SELECT 'recovered' AS arm UNION ALL SELECT 'other' AS arm
  ) AS a
  WHERE p.category NOT IN ('payout', 'payout_reversal', 'topup', 'topup_reversal', 'external')
    AND CASE
      WHEN a.arm = 'fee' THEN TRUE
      WHEN a.arm = 'exchange' THEN p.settled_currency <> p.currency
      WHEN a.arm = 'recovered' THEN p.charge IS NOT NULL AND p.category IN ('refund_failure', 'dispute_reversal')
      ELSE p.category NOT IN ('charge', 'charge_failure', 'partial_capture_reversal') AND (
        p.charge IS NULL OR p.category NOT IN ('refund', 'refund_failure', 'dispute', 'dispute_reversal')
      )
    END
),
payout_fees AS (
  SELECT
    p.id || ':' || p.bill || ':fee' AS id, p.account AS account, p.livemode AS livemode, p.settled_currency AS currency,
    p.at AS at, 'Fees' AS debit, 'Cash' AS credit, p.fee AS amount, 'fee' AS event, p.object AS object,
    p.source AS source, CAST(NULL AS VARCHAR) AS invoice, CAST(NULL AS VARCHAR) AS line, p.customer AS customer,
    CAST(NULL AS VARCHAR) AS subscription, CAST(NULL AS VARCHAR) AS product, CAST(NULL AS VARCHAR) AS price,
    p.at AS booked_at, CAST(NULL AS BIGINT) AS since_s, CAST(NULL AS BIGINT) AS until_s
  FROM metrics.stg_recognition_payments AS p
  WHERE p.category IN ('payout', 'payout_reversal', 'topup', 'topup_reversal')
),
cuts AS (
  SELECT
    c.*,
    e.kind AS kind, e.currency AS currency, e.object AS object, e.source AS source, e.customer AS customer,
    CASE
      WHEN e.kind NOT IN ('refund', 'dispute') THEN 'AccountsReceivable'
      WHEN e.settled_currency = e.currency THEN 'Cash'
      ELSE 'CurrencyExchange'
    END AS counter,
    CASE
      WHEN e.kind = 'refund' THEN 'Refunds'
      WHEN e.kind = 'dispute' THEN 'Disputes'
      WHEN e.kind = 'uncollectible' THEN 'BadDebt'
      WHEN e.kind = 'voided' THEN 'Voids'
      ELSE 'CreditNotes'
    END AS ledger,
    CASE WHEN e.kind = 'credit_note_voided' THEN COALESCE(-i.contra, 0) ELSE c.contra END AS own
  FROM metrics.stg_recognition_cuts AS c
  JOIN metrics.stg_recognition_events AS e
    ON e.id = c.event AND e.bill = c.bill AND e.account = c.account AND e.livemode = c.livemode
  LEFT JOIN metrics.stg_recognition_cuts AS i
    ON i.event || ':voided' = c.event AND i.line = c.line AND i.account = c.account AND i.livemode = c.livemode
),
taken AS (
  SELECT
    c.event || ':' || c.line || ':' || a.arm AS id, c.account AS account, c.livemode AS livemode,
    c.currency AS currency, c.at AS at,
    CASE
      WHEN a.arm = 'contra' THEN c.ledger
      WHEN a.arm = 'caught_up' THEN 'Revenue'
      WHEN a.arm = 'tax' THEN 'TaxLiability'
      WHEN a.arm = 'deferred' AND c.stopped THEN 'Recoverables'
      ELSE 'DeferredRevenue'
    END AS debit,
    CASE WHEN a.arm = 'swept' THEN 'Recoverables' ELSE c.counter END AS credit,
    CASE
      WHEN a.arm = 'contra' THEN c.own
      WHEN a.arm = 'caught_up' THEN c.contra - c.own
      WHEN a.arm = 'tax' THEN c.tax
      WHEN a.arm = 'deferred' THEN c.deferred
      ELSE c.swept
    END AS amount,
    c.kind AS event, c.object AS object, c.source AS source, l.invoice AS invoice, l.id AS line,
    COALESCE(l.customer, c.customer) AS customer, l.subscription AS subscription, l.product AS product, l.price AS price,
    c.at AS booked_at, CAST(NULL AS BIGINT) AS since_s, CAST(NULL AS BIGINT) AS until_s
  FROM cuts AS c
  JOIN lines AS l ON l.id = c.line AND l.account = c.account AND l.livemode = c.livemode
  CROSS JOIN (
    SELECT 'contra' AS arm UNION ALL SELECT 'caught_up' AS arm UNION ALL SELECT 'tax' AS arm
    UNION ALL SELECT 'deferred' AS arm UNION ALL SELECT 'swept' AS arm
  ) AS a
),
over AS (
  SELECT
    e.*,
    e.amount - COALESCE(s.amount, 0) AS excess,
    CASE
      WHEN e.kind NOT IN ('refund', 'dispute') THEN 'AccountsReceivable'
      WHEN e.settled_currency = e.currency THEN 'Cash'
      ELSE 'CurrencyExchange'
    END AS counter,
    w.bill IS NOT NULL AS late,
    CASE WHEN w.bill IS NULL THEN 0 ELSE ((e.amount - COALESCE(s.amount, 0)) * w.contra) // w.amount END AS regained,
    CASE WHEN w.bill IS NULL THEN 0 ELSE ((e.amount - COALESCE(s.amount, 0)) * w.tax) // w.amount END AS tax
  FROM metrics.stg_recognition_events AS e
  LEFT JOIN (
    SELECT
      c.account AS account, c.livemode AS livemode, c.bill AS bill, c.event AS event, SUM(c.net + c.tax) AS amount
    FROM metrics.stg_recognition_cuts AS c
    GROUP BY 1, 2, 3, 4
  ) AS s ON s.event = e.id AND s.bill = e.bill AND s.account = e.account AND s.livemode = e.livemode
  LEFT JOIN written_off AS w
    ON w.bill = e.bill AND w.account = e.account AND w.livemode = e.livemode AND w.step < e.step AND w.amount > 0
),
exceeded AS (
  SELECT
    o.id || ':' || o.bill || ':' || a.arm AS id, o.account AS account, o.livemode AS livemode, o.currency AS currency,
    o.at AS at,
    CASE
      WHEN a.arm = 'regained' THEN CASE o.kind WHEN 'refund' THEN 'Refunds' WHEN 'dispute' THEN 'Disputes' ELSE 'CreditNotes' END
      WHEN a.arm = 'tax' THEN 'TaxLiability'
      WHEN o.late OR o.kind = 'uncollectible' THEN 'Recoverables'
      ELSE 'OtherLoss'
    END AS debit,
    o.counter AS credit,
    CASE
      WHEN a.arm = 'regained' THEN o.regained
      WHEN a.arm = 'tax' THEN o.tax
      ELSE o.excess - o.regained - o.tax
    END AS amount,
    o.kind AS event, o.object AS object, o.source AS source,
    CASE WHEN starts_with(o.bill, 'in_') THEN o.bill END AS invoice, CAST(NULL AS VARCHAR) AS line,
    o.customer AS customer, CAST(NULL AS VARCHAR) AS subscription, CAST(NULL AS VARCHAR) AS product,
    CAST(NULL AS VARCHAR) AS price, o.at AS booked_at, CAST(NULL AS BIGINT) AS since_s, CAST(NULL AS BIGINT) AS until_s
  FROM over AS o
  CROSS JOIN (SELECT 'regained' AS arm UNION ALL SELECT 'tax' AS arm UNION ALL SELECT 'excess' AS arm) AS a
),
notes AS (
  SELECT
    n.*,
    COALESCE(n.out_of_band_amount, 0) AS outside,
    n.amount - n.pre_payment_amount - COALESCE(n.out_of_band_amount, 0) - COALESCE(list_sum(list_transform(
      json_extract(n.refunds, '$[*].amount_refunded'), lambda x: CAST(x AS BIGINT)
    )), 0) AS credited
  FROM stripe.credit_notes AS n
  WHERE n._deleted_at IS NULL
),
credited AS (
  SELECT
    n.id || CASE WHEN v.arm = 'issued' THEN '' ELSE ':voided' END || ':' || a.arm AS id, n._account AS account,
    n._livemode AS livemode, n.currency AS currency,
    CASE WHEN v.arm = 'issued' THEN n.created ELSE n.voided_at END AS at,
    'AccountsReceivable' AS debit,
    CASE WHEN a.arm = 'balance' THEN 'CustomerBalance' ELSE 'ExternalCustomerBalance' END AS credit,
    CASE WHEN v.arm = 'issued' THEN 1 ELSE -1 END * CASE WHEN a.arm = 'balance' THEN n.credited ELSE n.outside END AS amount,
    CASE WHEN v.arm = 'issued' THEN 'credit_note' ELSE 'credit_note_voided' END AS event,
    'credit_notes' AS object, n.id AS source, n.invoice AS invoice, CAST(NULL AS VARCHAR) AS line,
    n.customer AS customer, CAST(NULL AS VARCHAR) AS subscription, CAST(NULL AS VARCHAR) AS product,
    CAST(NULL AS VARCHAR) AS price, n.created AS booked_at, CAST(NULL AS BIGINT) AS since_s, CAST(NULL AS BIGINT) AS until_s
  FROM notes AS n
  CROSS JOIN (SELECT 'balance' AS arm UNION ALL SELECT 'outside' AS arm) AS a
  CROSS JOIN (SELECT 'issued' AS arm UNION ALL SELECT 'voided' AS arm) AS v
  WHERE v.arm = 'issued' OR n.voided_at IS NOT NULL
),
balanced AS (
  SELECT
    b.id AS id, b._account AS account, b._livemode AS livemode, b.currency AS currency, b.created AS at,
    'CustomerBalance' AS debit,
    CASE WHEN b.invoice IS NULL THEN 'CustomerBalanceAdjustments' ELSE 'AccountsReceivable' END AS credit,
    b.amount AS amount, 'customer_balance_' || b.type AS event, 'customer_balance_transactions' AS object, b.id AS source,
    b.invoice AS invoice, CAST(NULL AS VARCHAR) AS line, b.customer AS customer, CAST(NULL AS VARCHAR) AS subscription,
    CAST(NULL AS VARCHAR) AS product, CAST(NULL AS VARCHAR) AS price, b.created AS booked_at,
    CAST(NULL AS BIGINT) AS since_s, CAST(NULL AS BIGINT) AS until_s
  FROM stripe.customer_balance_transactions AS b
  WHERE b._deleted_at IS NULL
    -- Credit notes and finalising say theirs themselves.
    AND b.type NOT IN ('applied_to_invoice', 'credit_note', 'invoice_too_large', 'invoice_too_small')
),
applied AS (
  SELECT
    i.id || ':balance' AS id, i._account AS account, i._livemode AS livemode, i.currency AS currency,
    COALESCE(
      to_timestamp(CAST(json_extract_string(i.status_transitions, '$.finalized_at') AS BIGINT)), i.effective_at, i.created
    ) AS at,
    'CustomerBalance' AS debit, 'AccountsReceivable' AS credit, i.ending_balance - i.starting_balance AS amount,
    'customer_balance_applied' AS event, 'invoices' AS object, i.id AS source, i.id AS invoice, CAST(NULL AS VARCHAR) AS line,
    i.customer AS customer, CAST(NULL AS VARCHAR) AS subscription, CAST(NULL AS VARCHAR) AS product,
    CAST(NULL AS VARCHAR) AS price, i.created AS booked_at, CAST(NULL AS BIGINT) AS since_s, CAST(NULL AS BIGINT) AS until_s
  FROM stripe.invoices AS i
  WHERE i._deleted_at IS NULL AND i.status <> 'draft' AND i.ending_balance IS NOT NULL
),
voided AS (
  SELECT
    i.id || ':voided:' || c.line AS id, c.account AS account, c.livemode AS livemode, c.currency AS currency, i.at AS at,
    'Voids' AS debit, 'BadDebt' AS credit, c.contra AS amount, 'voided' AS event, c.object AS object, c.source AS source,
    l.invoice AS invoice, l.id AS line, l.customer AS customer, l.subscription AS subscription, l.product AS product,
    l.price AS price, i.at AS booked_at, CAST(NULL AS BIGINT) AS since_s, CAST(NULL AS BIGINT) AS until_s
  FROM (
    SELECT
      i.id AS id, i._account AS account, i._livemode AS livemode,
      to_timestamp(CAST(json_extract_string(i.status_transitions, '$.voided_at') AS BIGINT)) AS at
    FROM stripe.invoices AS i
    WHERE i._deleted_at IS NULL
  ) AS i
  JOIN cuts AS c ON c.bill = i.id AND c.account = i.account AND c.livemode = i.livemode AND c.kind = 'uncollectible'
  JOIN lines AS l ON l.id = c.line AND l.account = c.account AND l.livemode = c.livemode
  WHERE i.at IS NOT NULL
),
entries AS (
  SELECT * FROM billed
  UNION ALL SELECT * FROM recognized
  UNION ALL SELECT * FROM discarded
  UNION ALL SELECT * FROM received
  UNION ALL SELECT * FROM moved
  UNION ALL SELECT * FROM payout_fees
  UNION ALL SELECT * FROM taken
  UNION ALL SELECT * FROM exceeded
  UNION ALL SELECT * FROM credited
  UNION ALL SELECT * FROM balanced
  UNION ALL SELECT * FROM applied
  UNION ALL SELECT * FROM voided
)
SELECT
  e.id AS id,
  e.account AS account,
  e.livemode AS livemode,
  e.currency AS currency,
  e.at AS at,
  CAST(e.at AT TIME ZONE CASE WHEN e.since_s IS NULL THEN $zone ELSE 'UTC' END AS DATE) AS day,
  CAST(e.at AT TIME ZONE 'UTC' AS DATE) AS day_utc,
  CASE WHEN e.amount < 0 THEN e.credit ELSE e.debit END AS debit,
  CASE WHEN e.amount < 0 THEN e.debit ELSE e.credit END AS credit,
  CAST(ABS(e.amount) AS BIGINT) AS amount,
  e.event AS event,
  e.object AS object,
  e.source AS source,
  e.invoice AS invoice,
  e.line AS line,
  e.customer AS customer,
  e.subscription AS subscription,
  e.product AS product,
  e.price AS price,
  strftime(e.booked_at AT TIME ZONE 'UTC', '%Y-%m') AS booked,
  e.since_s AS since_s,
  e.until_s AS until_s
FROM entries AS e
WHERE e.amount <> 0
