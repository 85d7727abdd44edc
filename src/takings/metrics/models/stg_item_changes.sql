/*
kind = "staging"
meaning.en = "Each change of what an item of a subscription is worth a month, when, and why."
meaning.fr = "Chaque changement de ce qu’un élément d’abonnement vaut par mois, quand, et pourquoi."
grain = ["account", "livemode", "id"]
needs = ["metrics.stg_mrr_answers", "metrics.stg_mrr_states", "stripe.customers"]
*/
WITH valued AS (
  SELECT s.*, a.net AS net, a.gross AS gross
  FROM metrics.stg_mrr_states AS s
  LEFT JOIN metrics.stg_mrr_answers AS a ON a.question = s.question
),
levels AS (
  SELECT v.account AS account, v.livemode AS livemode, v.subscription AS subscription, v.at AS at,
    unnest(v.items) AS held, unnest(v.net) AS net, unnest(v.gross) AS gross
  FROM valued AS v
),
known AS (
  SELECT DISTINCT l.account AS account, l.livemode AS livemode, l.subscription AS subscription, l.held.item AS item FROM levels AS l
),
grid AS (
  SELECT
    v.account AS account, v.livemode AS livemode, v.subscription AS subscription, k.item AS item, v.at AS at, v.customer AS customer, v.currency AS currency,
    v.state AS state, v.cancellation AS cancellation, v.reconstructed AS reconstructed, v.moved AS moved,
    l.held.item IS NOT NULL AS here, coalesce(l.net, 0) AS net, coalesce(l.gross, 0) AS gross,
    l.held.price AS price, l.held.product AS product, l.held."interval" AS "interval", l.held.interval_count AS interval_count, l.held.quantity AS quantity,
    coalesce(l.held.metered, FALSE) AS metered
  FROM valued AS v
  JOIN known AS k ON k.account = v.account AND k.livemode = v.livemode AND k.subscription = v.subscription
  LEFT JOIN levels AS l
    ON l.account = v.account AND l.livemode = v.livemode AND l.subscription = v.subscription AND l.at = v.at AND l.held.item = k.item
),
steps AS (
  SELECT g.*,
    coalesce(lag(g.net) OVER w, 0) AS net_before,
    coalesce(lag(g.gross) OVER w, 0) AS gross_before,
    coalesce(lag(g.state) OVER w, 'before') AS state_before,
    coalesce(lag(g.here) OVER w, FALSE) AS here_before,
    lag(g.price) OVER w AS price_before,
    lag(g.product) OVER w AS product_before,
    lag(g."interval") OVER w AS interval_before,
    lag(g.interval_count) OVER w AS count_before,
    lag(g.quantity) OVER w AS quantity_before,
    coalesce(lag(g.metered) OVER w, FALSE) AS metered_before
  FROM grid AS g
  WINDOW w AS (PARTITION BY g.account, g.livemode, g.subscription, g.item ORDER BY g.at)
),
reasoned AS (
  SELECT s.*,
    CASE
      WHEN s.state <> 'counts' THEN CASE s.state
        WHEN 'ended' THEN CASE
          WHEN s.cancellation = 'cancellation_requested' THEN 'cancellation'
          ELSE coalesce(s.cancellation, 'cancellation')
        END
        WHEN 'leaving' THEN 'cancellation'
        WHEN 'unpaid' THEN 'payment_failed'
        WHEN 'paused' THEN 'pause'
        WHEN 'refunded' THEN 'refund'
        ELSE s.state
      END
      WHEN s.state_before <> 'counts' THEN CASE s.state_before
        WHEN 'before' THEN CASE WHEN s.moved THEN 'migration' ELSE 'start' END
        WHEN 'incomplete' THEN 'start'
        WHEN 'trial' THEN 'trial_end'
        WHEN 'leaving' THEN 'cancellation_withdrawn'
        WHEN 'paused' THEN 'resume'
        WHEN 'refunded' THEN 'billed_again'
        ELSE 'payment_recovered'
      END
      WHEN s.metered THEN 'usage'
      WHEN s.here AND NOT s.here_before THEN 'item_added'
      WHEN s.here_before AND NOT s.here THEN 'item_removed'
      WHEN s."interval" IS DISTINCT FROM s.interval_before OR s.interval_count IS DISTINCT FROM s.count_before THEN 'interval'
      WHEN s.product IS DISTINCT FROM s.product_before THEN 'plan_switch'
      WHEN s.price IS DISTINCT FROM s.price_before THEN 'price'
      WHEN s.quantity IS DISTINCT FROM s.quantity_before THEN 'quantity'
      WHEN s.gross = s.gross_before AND s.net < s.net_before THEN 'discount_start'
      WHEN s.gross = s.gross_before THEN 'discount_end'
      ELSE 'price'
    END AS why
  FROM steps AS s
),
changes AS (
  SELECT r.*,
    bool_or(r.why = 'item_added') OVER at_once AND bool_or(r.why = 'item_removed') OVER at_once AS swapped
  FROM reasoned AS r
  WHERE r.net <> r.net_before
  WINDOW at_once AS (PARTITION BY r.account, r.livemode, r.subscription, r.at)
)
SELECT
  c.item || ':' || CAST(epoch_us(c.at) AS VARCHAR) AS id,
  c.account AS account,
  c.livemode AS livemode,
  c.currency AS currency,
  c.at AS at,
  CAST(c.at AT TIME ZONE $zone AS DATE) AS day,
  CAST(c.at AT TIME ZONE 'UTC' AS DATE) AS day_utc,
  CASE
    WHEN $netting THEN strftime(CAST(c.at AT TIME ZONE $zone AS DATE), '%Y-%m-%d')
    ELSE strftime(c.at AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S.%f')
  END AS slot,
  c.net - c.net_before AS amount,
  c.customer AS customer,
  c.subscription AS subscription,
  c.item AS item,
  coalesce(c.price, c.price_before) AS price,
  coalesce(c.product, c.product_before) AS product,
  coalesce(c."interval", c.interval_before) AS billing_interval,
  CASE WHEN c.swapped AND c.why IN ('item_added', 'item_removed') THEN 'plan_switch' ELSE c.why END AS reason,
  c.metered OR c.metered_before AS metered,
  CASE WHEN c.reconstructed THEN 'reconstructed' ELSE 'observed' END AS basis,
  json_extract_string(u.address, '$.country') AS country
FROM changes AS c
LEFT JOIN stripe.customers AS u ON u.id = c.customer AND u._account = c.account AND u._livemode = c.livemode
