-- Sums of contributions by part, with the oldest date of each: for what stands at one moment.
SELECT
  c.part AS part,
  COUNT(*) AS lines,
  CAST(SUM(c.amount) AS BIGINT) AS amount,
  MIN(c.at) AS oldest
FROM contributions AS c
GROUP BY c.part
ORDER BY part
