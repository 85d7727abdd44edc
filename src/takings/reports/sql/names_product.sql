-- What people call products, by id.
SELECT p.id AS id, p.name AS name
FROM stripe.products AS p
WHERE p.id IN (SELECT UNNEST($ids))
