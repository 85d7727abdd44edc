/*
kind = "lines"
meaning.en = "What customers owe: every invoice finalised, and what took from it, each by its own date."
meaning.fr = "Ce que doivent les clients : chaque facture finalisée, et ce qui l’a réduite, chacun à sa date."
grain = ["account", "livemode", "id"]
dimensions = ["customer", "subscription", "country", "collection_method", "invoice"]
needs = ["metrics.stg_receivable_events"]

[measures.receivables]
title.en = "Accounts receivable"
title.fr = "Créances clients"
meaning.en = "What finalised invoices still asked for at the end of a day: totals less payments, credit notes, balance applied, voids and what was given up, each by its own date. Today it is the sum of what open invoices have remaining."
meaning.fr = "Ce que les factures finalisées demandaient encore à la fin d’un jour : les totaux moins paiements, avoirs, soldes appliqués, annulations et pertes, chacun à sa date. Aujourd’hui, c’est la somme du reste dû des factures ouvertes."
sum = "stock"
source = "https://docs.stripe.com/revenue-recognition/reports/accounts-receivable-aging"

[measures.receivables_issued]
title.en = "Receivables: invoiced"
title.fr = "Créances : facturé"
meaning.en = "Totals of the invoices finalised in a period, by what they add to receivables."
meaning.fr = "Les totaux des factures finalisées dans une période, pour ce qu’ils ajoutent aux créances."
sum = "flow"
parts = ["finalized"]
source = "https://docs.stripe.com/invoicing/overview"

[measures.collected]
title.en = "Receivables: collected"
title.fr = "Créances : encaissé"
meaning.en = "Payments of invoices, in Stripe and outside, less what was paid too much. Negative: it lowers receivables."
meaning.fr = "Les paiements de factures, dans Stripe et hors de Stripe, moins le trop-perçu. Négatif : cela réduit les créances."
sum = "flow"
parts = ["payment", "payment_outside", "overpayment"]
source = "https://docs.stripe.com/api/invoice-payment/object"

[measures.receivables_credited]
title.en = "Receivables: credit notes"
title.fr = "Créances : avoirs"
meaning.en = "What credit notes took off unpaid invoices, less those voided. Negative."
meaning.fr = "Ce que les avoirs ont retiré de factures impayées, moins ceux annulés. Négatif."
sum = "flow"
parts = ["credit_note"]
source = "https://docs.stripe.com/api/credit_notes/object#credit_note_object-pre_payment_amount"

[measures.receivables_applied_balance]
title.en = "Receivables: balance applied"
title.fr = "Créances : solde appliqué"
meaning.en = "What customers’ credit balances paid of invoices, or added to them (positive), when they were finalised."
meaning.fr = "Ce que les soldes créditeurs des clients ont payé de factures, ou leur ont ajouté (positif), à la finalisation."
sum = "flow"
parts = ["applied_balance"]
source = "https://docs.stripe.com/billing/customer/balance"

[measures.receivables_voided]
title.en = "Receivables: voided"
title.fr = "Créances : annulées"
meaning.en = "What voided invoices still asked for on the day they were voided. Negative."
meaning.fr = "Ce que les factures annulées demandaient encore au jour de l’annulation. Négatif."
sum = "flow"
parts = ["void"]
source = "https://docs.stripe.com/invoicing/overview#void"

[measures.receivables_written_off]
title.en = "Receivables: written off"
title.fr = "Créances : passées en perte"
meaning.en = "What was given up as uncollectible, less what was paid of it later after all. Negative."
meaning.fr = "Ce qui a été passé en perte comme irrécouvrable, moins ce qui en a été payé plus tard malgré tout. Négatif."
sum = "flow"
parts = ["uncollectible"]
source = "https://docs.stripe.com/invoicing/overview#uncollectible"

[measures.receivables_unexplained]
title.en = "Receivables: without a dated object"
title.fr = "Créances : sans objet daté"
meaning.en = "What Stripe’s own remaining amounts differ by from everything that has a date: it should be 0, and each line names the invoice."
meaning.fr = "Ce dont les restes dus de Stripe diffèrent de tout ce qui est daté : cela devrait être 0, et chaque ligne nomme la facture."
sum = "flow"
parts = ["unexplained"]
source = "Takings"
*/
SELECT
  w.id AS id,
  w.account AS account,
  w.livemode AS livemode,
  w.currency AS currency,
  w.at AS at,
  w.day AS day,
  w.day_utc AS day_utc,
  w.part AS part,
  w.amount AS amount,
  w.object AS object,
  w.source AS source,
  w.customer AS customer,
  w.subscription AS subscription,
  w.country AS country,
  w.collection_method AS collection_method,
  w.invoice AS invoice,
  w.due_at AS due_at
FROM metrics.stg_receivable_events AS w
WHERE w.amount <> 0
UNION ALL
-- What ends an invoice takes what is left of it, and whatever comes after (written off, then paid all the same) is taken back there.
SELECT
  CASE WHEN c.id = w.id THEN w.id ELSE w.id || ':after' END AS id,
  w.account AS account,
  w.livemode AS livemode,
  w.currency AS currency,
  w.at AS at,
  w.day AS day,
  w.day_utc AS day_utc,
  c.part AS part,
  CASE WHEN c.id = w.id THEN -w.before ELSE -w.amount END AS amount,
  w.object AS object,
  w.source AS source,
  w.customer AS customer,
  w.subscription AS subscription,
  w.country AS country,
  w.collection_method AS collection_method,
  w.invoice AS invoice,
  w.due_at AS due_at
FROM (
  SELECT
    e.id AS id,
    e.account AS account,
    e.livemode AS livemode,
    e.currency AS currency,
    e.at AS at,
    e.day AS day,
    e.day_utc AS day_utc,
    e.step AS step,
    e.amount AS amount,
    e.object AS object,
    e.source AS source,
    e.customer AS customer,
    e.subscription AS subscription,
    e.country AS country,
    e.collection_method AS collection_method,
    e.invoice AS invoice,
    e.due_at AS due_at,
    CAST(SUM(e.amount) OVER (
      PARTITION BY e.account, e.livemode, e.invoice ORDER BY e.at, e.step, e.id
      ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    ) AS BIGINT) - e.amount AS before,
    ROW_NUMBER() OVER (PARTITION BY e.account, e.livemode, e.invoice ORDER BY e.at, e.step, e.id) AS place
  FROM metrics.stg_receivable_events AS e
) AS w
INNER JOIN (
  SELECT
    f.id AS id,
    f.account AS account,
    f.livemode AS livemode,
    f.invoice AS invoice,
    f.part AS part,
    f.place AS place,
    ROW_NUMBER() OVER (PARTITION BY f.account, f.livemode, f.invoice ORDER BY f.place) AS turn
  FROM (
    SELECT
      e.id AS id,
      e.account AS account,
      e.livemode AS livemode,
      e.invoice AS invoice,
      e.part AS part,
      ROW_NUMBER() OVER (PARTITION BY e.account, e.livemode, e.invoice ORDER BY e.at, e.step, e.id) AS place
    FROM metrics.stg_receivable_events AS e
  ) AS f
  WHERE f.part IN ('uncollectible', 'void')
) AS c
  ON c.account = w.account AND c.livemode = w.livemode AND c.invoice = w.invoice
WHERE c.turn = 1 AND w.place >= c.place AND CASE WHEN c.id = w.id THEN w.before ELSE w.amount END <> 0
