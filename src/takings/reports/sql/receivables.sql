-- Open invoices as they stand at one moment: one line an invoice that is finalised, not paid, void or written off.
-- Unit: minor units still due. Date: the due date, or the day it was finalised where it has none (charged automatically).
-- A part of a day past due counts as a day.
SELECT
  d.id AS id,
  'invoice' AS object,
  CASE
    WHEN d.due >= $end THEN 'not_due'
    WHEN d.due >= $days_30 THEN 'days_1_30'
    WHEN d.due >= $days_60 THEN 'days_31_60'
    WHEN d.due >= $days_90 THEN 'days_61_90'
    WHEN d.due >= $days_120 THEN 'days_91_120'
    ELSE 'days_over_120'
  END AS part,
  d.number AS detail,
  d.due AS at,
  d.amount_remaining AS amount,
  d.currency AS currency,
  d.id AS source,
  d._account AS account,
  d._livemode AS livemode
FROM (
  SELECT
    i.id AS id,
    i.number AS number,
    i.amount_remaining AS amount_remaining,
    i.currency AS currency,
    i._account AS _account,
    i._livemode AS _livemode,
    COALESCE(
      i.due_date,
      to_timestamp(CAST(json_extract_string(i.status_transitions, '$.finalized_at') AS BIGINT)),
      i.created
    ) AS due
  FROM stripe.invoices AS i
  WHERE i._deleted_at IS NULL
    AND i._livemode = $livemode
    AND i._account IN (SELECT UNNEST($accounts))
    AND i.currency = $currency
    AND i.status = 'open'
    AND i.amount_remaining <> 0
) AS d
