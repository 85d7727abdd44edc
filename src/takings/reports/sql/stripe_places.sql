-- Where transactions are, whosever they are.
SELECT t.id AS id, t._account AS account, t._livemode AS livemode, t.currency AS currency, t.created AS created,
    t.amount AS gross, t.fee AS fee, t.net AS net, t._deleted_at AS deleted_at
FROM stripe.balance_transactions AS t
WHERE t.id IN (SELECT unnest($ids))
