-- Every currency in use, with how often: as settlement currency of the balance, and as currency of payments and invoices.
SELECT x.currency AS currency, x.side AS side, CAST(SUM(x.lines) AS BIGINT) AS lines
FROM (
  SELECT t.currency AS currency, 'balance' AS side, COUNT(*) AS lines
  FROM stripe.balance_transactions AS t
  WHERE t._deleted_at IS NULL AND t._livemode = $livemode AND t._account IN (SELECT UNNEST($accounts))
  GROUP BY t.currency
  UNION ALL
  SELECT c.currency AS currency, 'payments' AS side, COUNT(*) AS lines
  FROM stripe.charges AS c
  WHERE c._deleted_at IS NULL AND c._livemode = $livemode AND c._account IN (SELECT UNNEST($accounts))
  GROUP BY c.currency
  UNION ALL
  SELECT p.currency AS currency, 'payments' AS side, COUNT(*) AS lines
  FROM stripe.payment_intents AS p
  WHERE p._deleted_at IS NULL AND p._livemode = $livemode AND p._account IN (SELECT UNNEST($accounts))
  GROUP BY p.currency
  UNION ALL
  SELECT i.currency AS currency, 'invoices' AS side, COUNT(*) AS lines
  FROM stripe.invoices AS i
  WHERE i._deleted_at IS NULL AND i._livemode = $livemode AND i._account IN (SELECT UNNEST($accounts))
    AND i.status = 'open'
  GROUP BY i.currency
) AS x
WHERE x.currency IS NOT NULL
GROUP BY x.currency, x.side
ORDER BY currency, side
