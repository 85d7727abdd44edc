-- Transactions of an account that are in no report's days, with what decides which report they belong to.
SELECT m.id AS id, m.currency AS currency, m.created AS created, m.gross AS gross, m.fee AS fee, m.net AS net,
    m.category AS category, m.is_payout AS is_payout, m.is_automatic AS is_automatic, m.payout AS payout,
    m.payout_effective AS payout_effective
FROM movements AS m
WHERE m.id IN (SELECT unnest($ids))
