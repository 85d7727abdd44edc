/*
kind = "staging"
meaning.en = "What each event takes from each line: net and tax, and of the net what had been earned and what was still deferred, to the second."
meaning.fr = "Ce que chaque événement retire à chaque ligne : hors taxes et taxes, et du hors taxes ce qui était acquis et ce qui était encore différé, à la seconde."
grain = ["account", "livemode", "event", "line"]
needs = [
  "metrics.stg_recognition_events", "metrics.stg_recognition_lines", "metrics.stg_recognition_months",
  "metrics.stg_recognition_steps"
]
*/
WITH taken AS (
  SELECT
    s.account AS account,
    s.livemode AS livemode,
    s.bill AS bill,
    s.line AS line,
    s.step AS step,
    s.net_left AS net_left,
    s.net AS net,
    s.tax AS tax,
    e.id AS event,
    e.kind AS kind,
    e.at AS at,
    COALESCE(u.step < e.step, FALSE) AS stopped,
    l.net AS whole_net,
    CAST(CASE WHEN l.net = 0 THEN 1 ELSE l.net END AS HUGEINT) AS whole,
    l.starts IS NOT NULL AS spread,
    CAST(epoch(LEAST(e.at, u.at)) AS BIGINT) AS at_s
  FROM metrics.stg_recognition_steps AS s
  JOIN metrics.stg_recognition_events AS e
    ON e.bill = s.bill AND e.step = s.step AND e.account = s.account AND e.livemode = s.livemode
  JOIN metrics.stg_recognition_lines AS l ON l.id = s.line AND l.account = s.account AND l.livemode = s.livemode
  LEFT JOIN metrics.stg_recognition_events AS u
    ON u.bill = s.bill AND u.kind = 'uncollectible' AND u.account = s.account AND u.livemode = s.livemode
),
earned AS (
  SELECT
    t.account AS account,
    t.livemode AS livemode,
    t.line AS line,
    t.event AS event,
    SUM(CASE
      WHEN t.at_s >= m.until_s THEN m.amount
      WHEN t.at_s <= m.since_s THEN 0
      ELSE (CAST(m.amount AS HUGEINT) * (t.at_s - m.since_s)) // (m.until_s - m.since_s)
    END) AS earned
  FROM taken AS t
  JOIN metrics.stg_recognition_months AS m ON m.line = t.line AND m.account = t.account AND m.livemode = t.livemode
  GROUP BY 1, 2, 3, 4
)
SELECT
  k.account AS account,
  k.livemode AS livemode,
  k.bill AS bill,
  k.line AS line,
  k.event AS event,
  k.step AS step,
  k.at AS at,
  k.stopped AS stopped,
  CAST(k.net AS BIGINT) AS net,
  CAST(k.tax AS BIGINT) AS tax,
  CAST(k.net_left AS BIGINT) AS net_left,
  CAST(k.deferred_before - k.deferred_after AS BIGINT) AS deferred,
  CAST(k.net - (k.deferred_before - k.deferred_after) AS BIGINT) AS contra,
  CAST(CASE WHEN k.kind = 'uncollectible' THEN k.deferred_after ELSE 0 END AS BIGINT) AS swept
FROM (
  SELECT
    r.*,
    r.net_left + r.net - ((r.net_left + r.net) * r.earned) // r.whole AS deferred_before,
    r.net_left - (r.net_left * r.earned) // r.whole AS deferred_after
  FROM (
    SELECT
      t.*,
      CASE WHEN t.whole_net = 0 OR NOT t.spread THEN t.whole ELSE COALESCE(n.earned, 0) END AS earned
    FROM taken AS t
    LEFT JOIN earned AS n
      ON n.line = t.line AND n.event = t.event AND n.account = t.account AND n.livemode = t.livemode
  ) AS r
) AS k
