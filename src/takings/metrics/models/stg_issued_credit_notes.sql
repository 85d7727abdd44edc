/*
kind = "staging"
meaning.en = "Credit notes with what each did: lowered what is due, was refunded, went to the customer’s balance, or was settled outside Stripe."
meaning.fr = "Les avoirs avec ce que chacun a fait : réduire le dû, être remboursé, aller au solde du client, ou être réglé hors de Stripe."
grain = ["account", "livemode", "id"]
needs = ["metrics.stg_issued_invoices", "stripe.credit_notes"]
*/
SELECT
  n.*,
  n.total - n.pre_payment - n.refunded - n.out_of_band AS credited,
  CAST(n.at AT TIME ZONE $zone AS DATE) AS day,
  CAST(n.at AT TIME ZONE 'UTC' AS DATE) AS day_utc,
  CAST(n.voided_at AT TIME ZONE $zone AS DATE) AS voided_day,
  CAST(n.voided_at AT TIME ZONE 'UTC' AS DATE) AS voided_day_utc,
  i.subscription AS subscription,
  i.country AS country,
  i.billing_reason AS billing_reason,
  i.collection_method AS collection_method
FROM (
  SELECT
    c.id AS id,
    c._account AS account,
    c._livemode AS livemode,
    c.currency AS currency,
    c.customer AS customer,
    c.invoice AS invoice,
    c.reason AS reason,
    c.total AS total,
    COALESCE(c.pre_payment_amount, CASE WHEN c.type = 'pre_payment' THEN c.total ELSE 0 END) AS pre_payment,
    COALESCE(CAST(list_sum(
      list_transform(CAST(c.refunds AS JSON[]), lambda x: CAST(json_extract_string(x, '$.amount_refunded') AS BIGINT))
    ) AS BIGINT), 0) AS refunded,
    COALESCE(c.out_of_band_amount, 0) AS out_of_band,
    c.created AS at,
    CASE WHEN c.status = 'void' THEN COALESCE(c.voided_at, c.created) END AS voided_at
  FROM stripe.credit_notes AS c
  WHERE c._deleted_at IS NULL
) AS n
LEFT JOIN metrics.stg_issued_invoices AS i ON i.id = n.invoice AND i.account = n.account AND i.livemode = n.livemode
