/*
kind = "lines"
meaning.en = "The journal, one line for each side of an entry: debits positive, credits negative, by account of the ledger."
meaning.fr = "Le journal, une ligne par côté d’écriture : débits positifs, crédits négatifs, par compte du grand livre."
grain = ["account", "livemode", "id"]
spread = true
dimensions = [
  "ledger", "counter", "side", "event", "booked", "entry", "invoice", "line", "customer", "subscription", "product", "price"
]
needs = ["metrics.stg_journal_entries"]

[measures.ledger_revenue]
title.en = "Revenue account"
title.fr = "Compte de produits"
meaning.en = "The Revenue account, debits less credits: negative when revenue is earned."
meaning.fr = "Le compte de produits, débits moins crédits : négatif quand du revenu est acquis."
sum = "flow"
parts = ["Revenue"]
utc = true
source = "https://docs.stripe.com/revenue-recognition/methodology"

[measures.ledger_net_revenue]
title.en = "Revenue and contra revenue accounts"
title.fr = "Comptes de produits et de produits à déduire"
meaning.en = "The Revenue account and what is set against it, debits less credits."
meaning.fr = "Le compte de produits et ce qui s’en déduit, débits moins crédits."
sum = "flow"
parts = ["Revenue", "Refunds", "Disputes", "CreditNotes", "BadDebt", "Voids", "UnbilledVoids", "Transfer"]
utc = true
source = "https://docs.stripe.com/revenue-recognition/reports/income-statement"

[measures.contra_revenue]
title.en = "Contra revenue"
title.fr = "Produits à déduire"
meaning.en = "Revenue that had been recognised and was taken back: refunds, disputes, credit notes, voids, bad debt."
meaning.fr = "Le revenu déjà constaté puis repris : remboursements, litiges, avoirs, annulations, créances irrécouvrables."
sum = "flow"
parts = ["Refunds", "Disputes", "CreditNotes", "BadDebt", "Voids", "UnbilledVoids", "Transfer"]
utc = true
source = "https://docs.stripe.com/revenue-recognition/methodology"

[measures.ledger_deferred_revenue]
title.en = "Deferred revenue account"
title.fr = "Compte de produits constatés d’avance"
meaning.en = "The DeferredRevenue account, debits less credits: negative while something is owed to customers."
meaning.fr = "Le compte de produits constatés d’avance, débits moins crédits : négatif tant que du service est dû aux clients."
sum = "stock"
parts = ["DeferredRevenue"]
utc = true
source = "https://docs.stripe.com/revenue-recognition/methodology"

[measures.accounts_receivable]
title.en = "Accounts receivable"
title.fr = "Créances clients"
meaning.en = "What customers owed on finalised invoices at the end of a day in UTC, tax included."
meaning.fr = "Ce que les clients devaient sur les factures finalisées à la fin d’un jour UTC, taxes comprises."
sum = "stock"
parts = ["AccountsReceivable"]
utc = true
source = "https://docs.stripe.com/revenue-recognition/methodology"

[measures.unbilled_receivable]
title.en = "Unbilled accounts receivable"
title.fr = "Factures à établir"
meaning.en = "Revenue earned in months before its invoice was finalised, at the end of a day in UTC."
meaning.fr = "Le revenu acquis dans des mois antérieurs à la finalisation de sa facture, à la fin d’un jour UTC."
sum = "stock"
parts = ["UnbilledAccountsReceivable"]
utc = true
source = "https://docs.stripe.com/revenue-recognition/methodology"

[measures.ledger_tax_liability]
title.en = "Tax liability account"
title.fr = "Compte de taxes à payer"
meaning.en = "The TaxLiability account, debits less credits: negative while tax is owed."
meaning.fr = "Le compte de taxes à payer, débits moins crédits : négatif tant que des taxes sont dues."
sum = "stock"
parts = ["TaxLiability"]
utc = true
source = "https://docs.stripe.com/revenue-recognition/examples/tax"

[measures.ledger_customer_balance]
title.en = "Customer balance account"
title.fr = "Compte de soldes clients"
meaning.en = "The CustomerBalance account, debits less credits: negative while customers hold credit."
meaning.fr = "Le compte de soldes clients, débits moins crédits : négatif tant que les clients ont un avoir."
sum = "stock"
parts = ["CustomerBalance"]
utc = true
source = "https://docs.stripe.com/revenue-recognition/examples/contra"

[measures.journal_cash]
title.en = "Cash collected, net"
title.fr = "Encaissements nets"
meaning.en = "What came into the Stripe balance less refunds, disputes and fees; payouts are cash still, so they do not count."
meaning.fr = "Ce qui est entré dans le solde Stripe, moins remboursements, litiges et frais ; les virements restent de la trésorerie et ne comptent pas."
sum = "flow"
parts = ["Cash"]
utc = true
source = "https://docs.stripe.com/revenue-recognition/reports/data-reconciliation"

[measures.fee_expense]
title.en = "Fees as an expense"
title.fr = "Frais, en charges"
meaning.en = "Stripe's fees on the day they were taken, positive."
meaning.fr = "Les frais de Stripe, au jour où ils ont été prélevés, en positif."
sum = "flow"
parts = ["Fees"]
utc = true
source = "https://docs.stripe.com/revenue-recognition/examples/other"

[measures.ledger_gains_losses]
title.en = "Recoverables and other losses"
title.fr = "Récupérations et autres pertes"
meaning.en = "Money that came back without being revenue (negative), and money given back beyond the bill (positive)."
meaning.fr = "L’argent revenu sans être un revenu (négatif), et celui rendu au-delà de la facture (positif)."
sum = "flow"
parts = ["Recoverables", "OtherLoss"]
utc = true
source = "https://docs.stripe.com/revenue-recognition/examples/contra"

[measures.journal_difference]
title.en = "Difference in the journal"
title.fr = "Écart du journal"
meaning.en = "All debits less all credits: 0, always, in each currency and on each day."
meaning.fr = "Tous les débits moins tous les crédits : 0, toujours, dans chaque monnaie et chaque jour."
sum = "flow"
utc = true
source = "https://docs.stripe.com/revenue-recognition/reports/trial-balance"

[derived.revenue]
title.en = "Recognised revenue"
title.fr = "Revenu constaté"
meaning.en = "Revenue earned: each invoice line spread over its own period to the second, net of tax, before refunds and the like."
meaning.fr = "Le revenu acquis : chaque ligne de facture étalée sur sa période à la seconde, hors taxes, avant remboursements et autres reprises."
unit = "money"
over = "ledger_revenue"
flip = true
source = "https://docs.stripe.com/revenue-recognition/methodology"

[derived.net_revenue]
title.en = "Net revenue"
title.fr = "Revenu net"
meaning.en = "Recognised revenue less contra revenue: refunds, disputes, credit notes, voids and bad debt of what had been earned."
meaning.fr = "Le revenu constaté moins les produits à déduire : remboursements, litiges, avoirs, annulations et créances irrécouvrables sur ce qui était acquis."
unit = "money"
over = "ledger_net_revenue"
flip = true
source = "https://docs.stripe.com/revenue-recognition/reports/income-statement"

[derived.deferred_revenue]
title.en = "Deferred revenue"
title.fr = "Produits constatés d’avance"
meaning.en = "What was invoiced, net of tax, for service still to come, at the end of a day in UTC."
meaning.fr = "Ce qui a été facturé, hors taxes, pour du service à venir, à la fin d’un jour UTC."
unit = "money"
over = "ledger_deferred_revenue"
flip = true
source = "https://docs.stripe.com/revenue-recognition/methodology"

[derived.tax_liability]
title.en = "Tax liability"
title.fr = "Taxes à payer"
meaning.en = "Tax on invoices, less what credit notes, refunds and voids took back, at the end of a day in UTC; payments to the tax office are not known here."
meaning.fr = "Les taxes des factures, moins ce qu’avoirs, remboursements et annulations ont repris, à la fin d’un jour UTC ; les versements au fisc ne sont pas connus ici."
unit = "money"
over = "ledger_tax_liability"
flip = true
source = "https://docs.stripe.com/revenue-recognition/examples/tax"

[derived.customer_credit]
title.en = "Customer credit balances"
title.fr = "Avoirs des clients"
meaning.en = "Credit that customers hold for later invoices, less what they owe on their balance, at the end of a day in UTC."
meaning.fr = "Le crédit que les clients ont pour des factures futures, moins ce qu’ils doivent sur leur solde, à la fin d’un jour UTC."
unit = "money"
over = "ledger_customer_balance"
flip = true
source = "https://docs.stripe.com/revenue-recognition/examples/contra"
*/
SELECT
  e.id || CASE WHEN s.sign = 1 THEN ':debit' ELSE ':credit' END AS id,
  e.account AS account,
  e.livemode AS livemode,
  e.currency AS currency,
  e.at AS at,
  e.day AS day,
  e.day_utc AS day_utc,
  CASE WHEN s.sign = 1 THEN e.debit ELSE e.credit END AS part,
  s.sign * e.amount AS amount,
  e.object AS object,
  e.source AS source,
  CASE WHEN s.sign = 1 THEN e.debit ELSE e.credit END AS ledger,
  CASE WHEN s.sign = 1 THEN e.credit ELSE e.debit END AS counter,
  CASE WHEN s.sign = 1 THEN 'debit' ELSE 'credit' END AS side,
  e.event AS event,
  e.booked AS booked,
  e.id AS entry,
  e.invoice AS invoice,
  e.line AS line,
  e.customer AS customer,
  e.subscription AS subscription,
  e.product AS product,
  e.price AS price,
  e.since_s AS since_s,
  e.until_s AS until_s
FROM metrics.stg_journal_entries AS e
CROSS JOIN (SELECT 1 AS sign UNION ALL SELECT -1 AS sign) AS s
