-- Sums of contributions by calendar day of the reporting zone: what every chart and total is folded from.
SELECT
  CAST(c.at AT TIME ZONE $zone AS DATE) AS day,
  c.part AS part,
  c.detail AS detail,
  COUNT(*) AS lines,
  CAST(SUM(c.amount) AS BIGINT) AS amount
FROM contributions AS c
GROUP BY CAST(c.at AT TIME ZONE $zone AS DATE), c.part, c.detail
ORDER BY day, part, detail
