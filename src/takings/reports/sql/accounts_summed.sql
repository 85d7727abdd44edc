-- The accounts that have any balance transaction, from the sums by day.
SELECT s.account AS account, s.livemode AS livemode
FROM metrics.sums AS s
WHERE s.model = 'money_lines' AND s.cut = ''
GROUP BY s.account, s.livemode
HAVING SUM(s.lines) > 0
ORDER BY account, livemode
