-- Everything that moved the balance in the days, but for payouts.
, chosen AS (SELECT m.* FROM movements AS m WHERE NOT m.is_payout AND m.created >= $start AND m.created < $end)
