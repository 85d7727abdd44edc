-- What moved the balance through taking payments: one line a signed contribution, in the settlement currency.
-- Unit: minor units. Grain: balance transaction and part. Date: the balance transaction's `created`.
-- gross    = charge + partial_capture_reversal + charge_failure (a debit that the bank returned was never a payment)
-- refunds  = refund + refund_failure            (negative: money going back)
-- disputes = dispute + dispute_reversal         (negative: money taken back)
-- fees     = -fee of every balance transaction, and the fee categories (negative: the cost of being paid)
-- net      = gross + refunds + disputes + fees, to the minor unit
SELECT
  t.id AS id,
  'balance_transaction' AS object,
  CASE
    WHEN s.side = 'fee' THEN 'fees'
    WHEN t.reporting_category IN ('charge', 'partial_capture_reversal', 'charge_failure') THEN 'gross'
    WHEN t.reporting_category IN ('refund', 'refund_failure') THEN 'refunds'
    WHEN t.reporting_category IN ('dispute', 'dispute_reversal') THEN 'disputes'
    ELSE 'fees'
  END AS part,
  t.reporting_category AS detail,
  t.created AS at,
  CASE WHEN s.side = 'fee' THEN -t.fee ELSE t.amount END AS amount,
  t.currency AS currency,
  t.source AS source,
  t._account AS account,
  t._livemode AS livemode
FROM stripe.balance_transactions AS t
CROSS JOIN (SELECT 'amount' AS side UNION ALL SELECT 'fee' AS side) AS s
WHERE t._deleted_at IS NULL
  AND t._livemode = $livemode
  AND t._account IN (SELECT UNNEST($accounts))
  AND t.currency = $currency
  AND t.created >= $start
  AND t.created < $end
  AND (
    (s.side = 'fee' AND t.fee <> 0)
    OR (
      s.side = 'amount'
      AND t.reporting_category IN (
        'charge', 'partial_capture_reversal', 'charge_failure', 'refund', 'refund_failure',
        'dispute', 'dispute_reversal', 'fee', 'network_cost', 'tax'
      )
    )
  )
