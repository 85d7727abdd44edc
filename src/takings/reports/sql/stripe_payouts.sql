-- What automatic payouts that were expected in the bank account in the days paid out.
, chosen AS (SELECT m.* FROM movements AS m WHERE m.payout_effective >= $start AND m.payout_effective < $end)
