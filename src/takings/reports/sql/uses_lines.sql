-- How often each currency is used on a side, from the lines of a model; the open amount of invoices must not be nothing.
SELECT l.currency AS currency, '{side}' AS side, COUNT(*) AS lines
FROM metrics.{model} AS l
WHERE l.livemode = $livemode AND l.account IN (SELECT UNNEST($accounts))
GROUP BY l.currency
HAVING '{side}' <> 'invoices' OR SUM(l.amount) <> 0
