/*
kind = "staging"
meaning.en = "How much each event takes from each line, net and tax, and what it leaves: in proportion to what is left, or as the credit note says, never more than there is."
meaning.fr = "Ce que chaque événement retire à chaque ligne, hors taxes et taxes, et ce qu’il laisse : en proportion du reste, ou selon l’avoir, jamais plus que ce qu’il y a."
grain = ["account", "livemode", "bill", "line", "step"]
needs = ["metrics.stg_recognition_events", "metrics.stg_recognition_lines", "metrics.stg_recognition_requests"]
*/
WITH RECURSIVE steps AS (
  SELECT
    l.account AS account,
    l.livemode AS livemode,
    l.bill AS bill,
    l.id AS line,
    CAST(0 AS BIGINT) AS step,
    CAST(l.net AS HUGEINT) AS net_left,
    CAST(l.tax AS HUGEINT) AS tax_left,
    CAST(0 AS HUGEINT) AS net,
    CAST(0 AS HUGEINT) AS tax
  FROM metrics.stg_recognition_lines AS l
  JOIN metrics.stg_recognition_events AS e
    ON e.bill = l.bill AND e.account = l.account AND e.livemode = l.livemode AND e.step = 1
  UNION ALL
  SELECT
    c.account AS account,
    c.livemode AS livemode,
    c.bill AS bill,
    c.line AS line,
    c.step AS step,
    c.net_left - c.net AS net_left,
    c.tax_left - c.tax AS tax_left,
    c.net AS net,
    c.tax AS tax
  FROM (
    SELECT
      r.*,
      CASE
        WHEN r.given
          THEN GREATEST(
            LEAST(r.wanted_net, GREATEST(r.net_left, r.net_left - r.whole)), LEAST(r.net_left, r.net_left - r.whole)
          )
        ELSE r.share - CASE WHEN r.gross_left = 0 THEN 0 ELSE (r.share * r.tax_left) // r.gross_left END
      END AS net,
      CASE
        WHEN r.given
          THEN GREATEST(
            LEAST(r.wanted_tax, GREATEST(r.tax_left, r.tax_left - r.whole_tax)),
            LEAST(r.tax_left, r.tax_left - r.whole_tax)
          )
        ELSE CASE WHEN r.gross_left = 0 THEN 0 ELSE (r.share * r.tax_left) // r.gross_left END
      END AS tax
    FROM (
      SELECT
        f.*,
        f.base + CASE
          WHEN row_number() OVER (PARTITION BY f.account, f.livemode, f.bill ORDER BY f.remainder DESC, f.line)
            <= f.taken - SUM(f.base) OVER (PARTITION BY f.account, f.livemode, f.bill)
            THEN 1
          ELSE 0
        END AS share
      FROM (
        SELECT
          g.*,
          CASE WHEN g.all_left > 0 THEN ((g.taken * g.gross_left) % g.all_left + g.all_left) % g.all_left ELSE 0 END AS remainder,
          CASE
            WHEN g.all_left > 0
              THEN (g.taken * g.gross_left - ((g.taken * g.gross_left) % g.all_left + g.all_left) % g.all_left) // g.all_left
            ELSE 0
          END AS base
        FROM (
          SELECT
            a.*,
            CASE WHEN a.all_left > 0 THEN LEAST(a.amount, a.all_left) ELSE 0 END AS taken
          FROM (
            SELECT
              s.account AS account,
              s.livemode AS livemode,
              s.bill AS bill,
              s.line AS line,
              e.step AS step,
              s.net_left AS net_left,
              s.tax_left AS tax_left,
              s.net_left + s.tax_left AS gross_left,
              SUM(s.net_left + s.tax_left) OVER (PARTITION BY s.account, s.livemode, s.bill) AS all_left,
              CAST(e.amount AS HUGEINT) AS amount,
              e.given AS given,
              CAST(l.net AS HUGEINT) AS whole,
              CAST(l.tax AS HUGEINT) AS whole_tax,
              CAST(COALESCE(q.net, 0) AS HUGEINT) AS wanted_net,
              CAST(COALESCE(q.tax, 0) AS HUGEINT) AS wanted_tax
            FROM steps AS s
            JOIN metrics.stg_recognition_events AS e
              ON e.bill = s.bill AND e.account = s.account AND e.livemode = s.livemode AND e.step = s.step + 1
            JOIN metrics.stg_recognition_lines AS l
              ON l.id = s.line AND l.account = s.account AND l.livemode = s.livemode
            LEFT JOIN metrics.stg_recognition_requests AS q
              ON q.event = e.id AND q.line = s.line AND q.account = s.account AND q.livemode = s.livemode
          ) AS a
        ) AS g
      ) AS f
    ) AS r
  ) AS c
)
SELECT s.* FROM steps AS s WHERE s.step > 0
