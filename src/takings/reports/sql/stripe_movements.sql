-- Every balance transaction of an account as Stripe's financial reports see it. What goes to the bank automatically leaves the
-- balance of the reports on the day it is expected in the bank account, everything else when it was made.
-- Source: https://docs.stripe.com/reports/report-types/balance (effective_at), .../payout-reconciliation.
WITH settled AS (
    SELECT k.balance_transaction AS id, any_value(p.id) AS payout, any_value(p.arrival_date) AS effective
    FROM stripe.payout_balance_transactions AS k
    JOIN stripe.payouts AS p ON p.id = k.payout AND p._account = $account AND p._livemode = $livemode
        AND p._deleted_at IS NULL AND p.automatic
    WHERE k._account = $account AND k._livemode = $livemode AND k._deleted_at IS NULL
        AND k.balance_transaction IS DISTINCT FROM p.balance_transaction
    GROUP BY k.balance_transaction
),
movements AS (
    SELECT
        t.id AS id,
        t.created AS created,
        t.available_on AS available_on,
        t.currency AS currency,
        t.amount AS gross,
        t.fee AS fee,
        t.net AS net,
        coalesce(t.reporting_category, '') AS category,
        coalesce(t.reporting_category, '') IN ('payout', 'payout_reversal') AS is_payout,
        t.source AS source,
        t.description AS description,
        s.payout AS payout,
        s.effective AS payout_effective,
        coalesce(o.automatic, FALSE) AS is_automatic,
        CASE WHEN o.automatic THEN o.arrival_date ELSE t.created END AS effective
    FROM stripe.balance_transactions AS t
    LEFT JOIN stripe.payouts AS o ON o.balance_transaction = t.id AND o._account = $account AND o._livemode = $livemode
        AND o._deleted_at IS NULL
    LEFT JOIN settled AS s ON s.id = t.id
    WHERE t._account = $account AND t._livemode = $livemode AND t._deleted_at IS NULL
)
