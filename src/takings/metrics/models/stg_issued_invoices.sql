/*
kind = "staging"
meaning.en = "Invoices that were finalised, with the moments of their life and the days they fall on; drafts are not among them."
meaning.fr = "Les factures finalisées, avec les moments de leur vie et les jours où ils tombent ; les brouillons n’en sont pas."
grain = ["account", "livemode", "id"]
needs = ["stripe.invoices"]
*/
SELECT
  i.*,
  COALESCE(i.due_date, i.finalized_at) AS due_at,
  CAST(i.finalized_at AT TIME ZONE $zone AS DATE) AS finalized_day,
  CAST(i.finalized_at AT TIME ZONE 'UTC' AS DATE) AS finalized_day_utc,
  CAST(i.paid_at AT TIME ZONE $zone AS DATE) AS paid_day,
  CAST(i.paid_at AT TIME ZONE 'UTC' AS DATE) AS paid_day_utc,
  CAST(i.paid_at AT TIME ZONE $zone AS DATE) - CAST(i.finalized_at AT TIME ZONE $zone AS DATE) AS days_to_payment,
  CAST(i.voided_at AT TIME ZONE $zone AS DATE) AS voided_day,
  CAST(i.voided_at AT TIME ZONE 'UTC' AS DATE) AS voided_day_utc
FROM (
  SELECT
    v.id AS id,
    v._account AS account,
    v._livemode AS livemode,
    v.currency AS currency,
    v.customer AS customer,
    json_extract_string(v.parent, '$.subscription_details.subscription') AS subscription,
    json_extract_string(v.customer_address, '$.country') AS country,
    v.billing_reason AS billing_reason,
    v.collection_method AS collection_method,
    v.status AS status,
    v.total AS total,
    COALESCE(v.total_excluding_tax, v.total - COALESCE(CAST(list_sum(
      list_transform(CAST(v.total_taxes AS JSON[]), lambda x: CAST(json_extract_string(x, '$.amount') AS BIGINT))
    ) AS BIGINT), 0)) AS total_excluding_tax,
    -- What the customer's credit balance took over: credit that was used, or a debt of before that was added (negative).
    COALESCE(v.ending_balance - v.starting_balance, 0) AS applied_balance,
    v.amount_due AS amount_due,
    v.amount_paid AS amount_paid,
    v.amount_remaining AS amount_remaining,
    COALESCE(v.amount_overpaid, 0) AS amount_overpaid,
    v.attempted AS attempted,
    v.attempt_count AS attempt_count,
    v.period_end AS period_end,
    v.due_date AS due_date,
    COALESCE(
      to_timestamp(CAST(json_extract_string(v.status_transitions, '$.finalized_at') AS BIGINT)), v.effective_at, v.created
    ) AS finalized_at,
    CASE WHEN v.status = 'paid' THEN
      COALESCE(to_timestamp(CAST(json_extract_string(v.status_transitions, '$.paid_at') AS BIGINT)), v.created)
    END AS paid_at,
    CASE WHEN v.status = 'void' THEN
      COALESCE(to_timestamp(CAST(json_extract_string(v.status_transitions, '$.voided_at') AS BIGINT)), v.created)
    END AS voided_at,
    to_timestamp(CAST(json_extract_string(v.status_transitions, '$.marked_uncollectible_at') AS BIGINT)) AS uncollectible_at
  FROM stripe.invoices AS v
  WHERE v._deleted_at IS NULL AND v.status <> 'draft'
) AS i
