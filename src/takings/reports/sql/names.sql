-- What people call things that figures are cut by: customers, products, prices and tax rates, by id.
SELECT c.id AS id, COALESCE(c.name, c.email) AS name
FROM stripe.customers AS c
WHERE c.id IN (SELECT UNNEST($ids))
UNION ALL
SELECT p.id AS id, p.name AS name
FROM stripe.products AS p
WHERE p.id IN (SELECT UNNEST($ids))
UNION ALL
SELECT r.id AS id, COALESCE(r.nickname, p.name) AS name
FROM stripe.prices AS r
LEFT JOIN stripe.products AS p ON p.id = r.product AND p._account = r._account AND p._livemode = r._livemode
WHERE r.id IN (SELECT UNNEST($ids))
UNION ALL
SELECT t.id AS id, concat_ws(' ', t.display_name, CAST(t.percentage AS VARCHAR) || ' %', t.jurisdiction) AS name
FROM stripe.tax_rates AS t
WHERE t.id IN (SELECT UNNEST($ids))
