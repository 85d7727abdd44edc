-- A report's transactions one by one, with the payment behind each.
SELECT
    m.id AS id,
    m.created AS created,
    m.available_on AS available_on,
    m.currency AS currency,
    m.gross AS gross,
    m.fee AS fee,
    m.net AS net,
    m.category AS category,
    m.source AS source,
    m.description AS description,
    coalesce(d.amount, r.amount, c.amount) AS facing,
    coalesce(d.currency, r.currency, c.currency) AS facing_currency,
    m.payout AS payout,
    m.payout_effective AS payout_effective,
    c.customer AS customer,
    c.id AS charge,
    c.created AS charge_created,
    c.payment_intent AS payment_intent,
    json_extract_string(c.payment_method_details, '$.type') AS payment_method_type,
    json_extract_string(c.payment_method_details, '$.card.brand') AS card_brand,
    json_extract_string(c.payment_method_details, '$.card.funding') AS card_funding,
    json_extract_string(c.payment_method_details, '$.card.country') AS card_country,
    d.reason AS dispute_reason
FROM chosen AS m
LEFT JOIN stripe.refunds AS r ON r.id = m.source AND r._account = $account AND r._livemode = $livemode
LEFT JOIN stripe.disputes AS d ON d.id = m.source AND d._account = $account AND d._livemode = $livemode
LEFT JOIN stripe.charges AS c ON c.id = coalesce(r.charge, d.charge, m.source)
    AND c._account = $account AND c._livemode = $livemode
ORDER BY m.payout_effective, m.payout, m.created, m.id
