-- What each currency's balance was at the beginning, what moved it, and what it was at the end. Minor units.
SELECT
    m.currency AS currency,
    coalesce(sum(m.net) FILTER (m.effective < $start), 0) AS starting,
    coalesce(sum(m.gross) FILTER (NOT m.is_payout AND m.effective >= $start), 0) AS activity_gross,
    coalesce(sum(m.fee) FILTER (NOT m.is_payout AND m.effective >= $start), 0) AS activity_fee,
    coalesce(sum(m.net) FILTER (NOT m.is_payout AND m.effective >= $start), 0) AS activity,
    coalesce(sum(m.gross) FILTER (m.is_payout AND m.effective >= $start), 0) AS payouts_gross,
    coalesce(sum(m.fee) FILTER (m.is_payout AND m.effective >= $start), 0) AS payouts_fee,
    coalesce(sum(m.net) FILTER (m.is_payout AND m.effective >= $start), 0) AS payouts,
    sum(m.net) AS ending
FROM movements AS m
WHERE m.effective < $end
GROUP BY m.currency
ORDER BY m.currency
