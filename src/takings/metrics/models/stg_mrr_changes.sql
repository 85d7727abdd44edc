/*
kind = "staging"
meaning.en = "The changes that count under the policy: those of licensed items, and those of metered ones where it says so."
meaning.fr = "Les changements qui comptent selon la politique : ceux des éléments à prix fixe, et ceux des éléments à la consommation si elle le dit."
grain = ["account", "livemode", "id"]
needs = ["metrics.stg_item_changes"]
*/
SELECT c.* EXCLUDE (metered)
FROM metrics.stg_item_changes AS c
WHERE NOT c.metered OR $metered = 'last_invoiced'
