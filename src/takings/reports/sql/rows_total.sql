-- How many contributions stand behind a figure, and their sum: equal to the figure, or the figure is wrong.
SELECT COUNT(*) AS lines, CAST(COALESCE(SUM(c.amount), 0) AS BIGINT) AS amount
FROM contributions AS c
WHERE c.part IN (SELECT UNNEST($parts))
  AND ($detail IS NULL OR c.detail = $detail)
