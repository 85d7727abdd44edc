-- The accounts that have any balance transaction.
SELECT t._account AS account, t._livemode AS livemode
FROM stripe.balance_transactions AS t
WHERE t._deleted_at IS NULL
GROUP BY t._account, t._livemode
ORDER BY account, livemode
