-- What people call customers, by id.
SELECT c.id AS id, COALESCE(c.name, c.email) AS name
FROM stripe.customers AS c
WHERE c.id IN (SELECT UNNEST($ids))
