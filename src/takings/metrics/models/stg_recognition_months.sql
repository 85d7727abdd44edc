/*
kind = "staging"
meaning.en = "Each line's period cut at the ends of months in UTC, and how much of the line each part earns: in proportion to its seconds, the last cents to the largest remainders."
meaning.fr = "La période de chaque ligne, coupée aux fins de mois UTC, et ce que chaque part rapporte : en proportion de ses secondes, les derniers centimes aux plus grands restes."
grain = ["account", "livemode", "line", "since_s"]
needs = ["metrics.stg_recognition_lines"]
*/
WITH lines AS (
  SELECT
    l.account AS account,
    l.livemode AS livemode,
    l.id AS line,
    l.net AS net,
    l.starts AT TIME ZONE 'UTC' AS starts,
    l.ends AT TIME ZONE 'UTC' AS ends,
    date_trunc('month', l.finalized_at AT TIME ZONE 'UTC') AS billed
  FROM metrics.stg_recognition_lines AS l
  WHERE l.starts IS NOT NULL AND l.net <> 0
),
months AS (
  SELECT l.*, unnest(generate_series(date_trunc('month', l.starts), l.ends - INTERVAL 1 SECOND, INTERVAL 1 MONTH)) AS month
  FROM lines AS l
),
parts AS (
  SELECT
    m.account AS account,
    m.livemode AS livemode,
    m.line AS line,
    m.month AS month,
    m.net AS net,
    m.billed IS NULL OR m.month < m.billed AS unbilled,
    CAST(epoch(GREATEST(m.month, m.starts)) AS BIGINT) AS since_s,
    CAST(epoch(LEAST(m.month + INTERVAL 1 MONTH, m.ends)) AS BIGINT) AS until_s,
    CAST(epoch(m.ends) AS BIGINT) - CAST(epoch(m.starts) AS BIGINT) AS whole_s
  FROM months AS m
),
shares AS (
  SELECT
    p.*,
    CAST(ABS(p.net) AS HUGEINT) * (p.until_s - p.since_s) // p.whole_s AS base,
    CAST(ABS(p.net) AS HUGEINT) * (p.until_s - p.since_s) % p.whole_s AS remainder
  FROM parts AS p
),
earned AS (
  SELECT
    s.*,
    SIGN(s.net) * (
      s.base + CASE
        WHEN row_number() OVER (PARTITION BY s.account, s.livemode, s.line ORDER BY s.remainder DESC, s.since_s)
          <= ABS(s.net) - SUM(s.base) OVER (PARTITION BY s.account, s.livemode, s.line)
          THEN 1
        ELSE 0
      END
    ) AS amount
  FROM shares AS s
)
SELECT
  e.account AS account,
  e.livemode AS livemode,
  e.line AS line,
  strftime(e.month, '%Y-%m') AS month,
  e.unbilled AS unbilled,
  e.since_s AS since_s,
  e.until_s AS until_s,
  CAST(e.amount AS BIGINT) AS amount,
  CAST(SUM(e.amount) OVER (PARTITION BY e.account, e.livemode, e.line ORDER BY e.since_s) - e.amount AS BIGINT) AS earned_before
FROM earned AS e
