-- What people call tax rates, by id.
SELECT t.id AS id, concat_ws(' ', t.display_name, CAST(t.percentage AS VARCHAR) || ' %', t.jurisdiction) AS name
FROM stripe.tax_rates AS t
WHERE t.id IN (SELECT UNNEST($ids))
