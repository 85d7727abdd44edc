-- What no automatic payout had settled by the end of the days: it adds up to the ending balance.
, chosen AS (
    SELECT m.* FROM movements AS m
    WHERE m.created < $end AND NOT m.is_automatic AND (m.payout IS NULL OR m.payout_effective >= $end)
)
