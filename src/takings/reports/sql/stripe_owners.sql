-- How many of some transactions each account has.
SELECT t._account AS account, t._livemode AS livemode, count(*) AS n
FROM stripe.balance_transactions AS t
WHERE t.id IN (SELECT unnest($ids))
GROUP BY 1, 2
ORDER BY 3 DESC, 1, 2
