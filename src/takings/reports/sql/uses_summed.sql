-- How often each currency is used on a side, from the sums by day of a model; the open amount of invoices must not be nothing.
SELECT s.currency AS currency, '{side}' AS side, CAST(SUM(s.lines) AS BIGINT) AS lines
FROM metrics.sums AS s
WHERE s.model = '{model}' AND s.cut = '' AND s.livemode = $livemode AND s.account IN (SELECT UNNEST($accounts))
GROUP BY s.currency
HAVING SUM(s.lines) > 0 AND ('{side}' <> 'invoices' OR SUM(s.amount) <> 0)
