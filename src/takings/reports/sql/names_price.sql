-- What people call prices, by id: their nickname, else their product's name.
SELECT r.id AS id, COALESCE(r.nickname, p.name) AS name
FROM stripe.prices AS r
LEFT JOIN stripe.products AS p ON p.id = r.product AND p._account = r._account AND p._livemode = r._livemode
WHERE r.id IN (SELECT UNNEST($ids))
