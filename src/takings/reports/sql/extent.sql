-- The first and the last moment that there is anything to report on.
SELECT MIN(x.first) AS first, MAX(x.last) AS last
FROM (
  SELECT MIN(t.created) AS first, MAX(t.created) AS last
  FROM stripe.balance_transactions AS t
  WHERE t._deleted_at IS NULL AND t._livemode = $livemode AND t._account IN (SELECT UNNEST($accounts))
  UNION ALL
  SELECT MIN(p.created) AS first, MAX(p.created) AS last
  FROM stripe.payment_intents AS p
  WHERE p._deleted_at IS NULL AND p._livemode = $livemode AND p._account IN (SELECT UNNEST($accounts))
  UNION ALL
  SELECT MIN(c.created) AS first, MAX(c.created) AS last
  FROM stripe.charges AS c
  WHERE c._deleted_at IS NULL AND c._livemode = $livemode AND c._account IN (SELECT UNNEST($accounts))
) AS x
