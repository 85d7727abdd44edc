-- The contributions behind a figure, newest first, with the payment and the customer they belong to.
WITH page AS (
  SELECT
    c.id AS id,
    c.object AS object,
    c.part AS part,
    c.detail AS detail,
    c.at AS at,
    c.amount AS amount,
    c.currency AS currency,
    c.source AS source,
    c.account AS account,
    c.livemode AS livemode
  FROM contributions AS c
  WHERE c.part IN (SELECT UNNEST($parts))
    AND ($detail IS NULL OR c.detail = $detail)
  ORDER BY c.at DESC, c.id DESC, c.part, c.amount
  LIMIT $limit OFFSET $offset
), traced AS (
  SELECT
    p.*,
    COALESCE(r.charge, d.charge, p.source) AS charge_id
  FROM page AS p
  LEFT JOIN stripe.refunds AS r ON r.id = p.source AND r._account = p.account AND r._livemode = p.livemode
  LEFT JOIN stripe.disputes AS d ON d.id = p.source AND d._account = p.account AND d._livemode = p.livemode
)
SELECT
  t.at AS at,
  t.part AS part,
  t.detail AS detail,
  t.id AS id,
  t.object AS object,
  t.amount AS amount,
  t.currency AS currency,
  t.source AS source,
  COALESCE(c.payment_intent, CASE WHEN t.object = 'payment_intent' THEN t.id END, c.id) AS payment,
  COALESCE(i.customer, c.customer, n.customer) AS customer,
  COALESCE(
    u.name,
    json_extract_string(c.billing_details, '$.name'),
    u.email,
    json_extract_string(c.billing_details, '$.email'),
    n.customer_name,
    n.customer_email
  ) AS customer_name,
  COALESCE(n.number, c.description, i.description, b.description) AS description,
  t.account AS account,
  t.livemode AS livemode
FROM traced AS t
LEFT JOIN stripe.charges AS c ON c.id = t.charge_id AND c._account = t.account AND c._livemode = t.livemode
LEFT JOIN stripe.payment_intents AS i ON i.id = t.id AND i._account = t.account AND i._livemode = t.livemode
LEFT JOIN stripe.invoices AS n ON n.id = t.id AND n._account = t.account AND n._livemode = t.livemode
LEFT JOIN stripe.balance_transactions AS b ON b.id = t.id AND b._account = t.account AND b._livemode = t.livemode
LEFT JOIN stripe.customers AS u
  ON u.id = COALESCE(i.customer, c.customer, n.customer) AND u._account = t.account AND u._livemode = t.livemode
ORDER BY t.at DESC, t.id DESC, t.part, t.amount
