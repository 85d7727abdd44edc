/*
kind = "staging"
meaning.en = "Trials of subscriptions: when each began and ended, and whether the subscription counted once it was over."
meaning.fr = "Les essais d’abonnements : quand chacun a commencé et fini, et si l’abonnement comptait une fois l’essai terminé."
grain = ["account", "livemode", "subscription", "event"]
needs = ["metrics.stg_mrr_states", "metrics.stg_subscription_versions", "stripe.customers"]
*/
WITH stood AS (
  SELECT x.account AS account, x.livemode AS livemode, x.subscription AS subscription, x.at AS at, x.next_at AS next_at
  FROM (
    SELECT m.*, coalesce(lead(m.at) OVER (PARTITION BY m.account, m.livemode, m.subscription ORDER BY m.at), TIMESTAMPTZ '9999-12-31 00:00:00+00') AS next_at
    FROM metrics.stg_mrr_states AS m
  ) AS x
  WHERE x.state = 'counts'
),
newest AS (
  SELECT v.*,
    CASE WHEN v.status = 'trialing' THEN NULL ELSE least(v.trial_end, coalesce(v.ended_at, v.gone_at, v.trial_end)) END AS over_at
  FROM metrics.stg_subscription_versions AS v
  WHERE v.newest AND v.trial_end IS NOT NULL AND v.trial_end > coalesce(v.trial_start, v.start_at)
)
SELECT
  n.account AS account,
  n.livemode AS livemode,
  n.subscription AS subscription,
  n.customer AS customer,
  n.currency AS currency,
  e.event AS event,
  e.at AS at,
  CAST(e.at AT TIME ZONE $zone AS DATE) AS day,
  CAST(e.at AT TIME ZONE 'UTC' AS DATE) AS day_utc,
  strftime(coalesce(n.trial_start, n.start_at) AT TIME ZONE $zone, '%Y-%m') AS cohort,
  EXISTS (
    SELECT 1 AS one FROM stood AS s
    WHERE s.account = n.account AND s.livemode = n.livemode AND s.subscription = n.subscription
      AND s.at <= n.over_at + INTERVAL 1 DAY AND s.next_at > n.over_at
  ) AS converted,
  json_extract_string(u.address, '$.country') AS country,
  CASE WHEN e.at < n.first_seen THEN 'reconstructed' ELSE 'observed' END AS basis
FROM newest AS n
CROSS JOIN LATERAL (
  SELECT 'start' AS event, coalesce(n.trial_start, n.start_at) AS at
  UNION ALL
  SELECT 'end' AS event, n.over_at AS at
) AS e
LEFT JOIN stripe.customers AS u ON u.id = n.customer AND u._account = n.account AND u._livemode = n.livemode
WHERE e.at IS NOT NULL AND CAST(e.at AT TIME ZONE $zone AS DATE) <= $today
