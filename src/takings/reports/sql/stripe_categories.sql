-- A report's transactions by reporting category and currency. Minor units.
SELECT m.category AS category, m.currency AS currency, count(*) AS n, sum(m.gross) AS gross, sum(m.fee) AS fee, sum(m.net) AS net
FROM chosen AS m
GROUP BY m.category, m.currency
ORDER BY m.currency, m.category
