-- The payment that each of some balance transactions is about, for a link to it in Stripe's dashboard; else what Stripe names as its source.
SELECT t.id AS id, COALESCE(c.payment_intent, c.id, t.source) AS about
FROM stripe.balance_transactions AS t
LEFT JOIN stripe.refunds AS r ON r.id = t.source AND r._account = t._account AND r._livemode = t._livemode
LEFT JOIN stripe.disputes AS d ON d.id = t.source AND d._account = t._account AND d._livemode = t._livemode
LEFT JOIN stripe.charges AS c
  ON c.id = COALESCE(r.charge, d.charge, t.source) AND c._account = t._account AND c._livemode = t._livemode
WHERE t.id IN (SELECT UNNEST($ids))
