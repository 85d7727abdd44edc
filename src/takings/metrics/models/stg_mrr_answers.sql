/*
kind = "staging"
through = "pricing"
meaning.en = "What the items of subscriptions are worth a month, exactly, each rounded once: `net` with discounts, `gross` without."
meaning.fr = "Ce que valent par mois les éléments d’abonnements, exactement, chacun arrondi une fois : `net` avec réductions, `gross` sans."
grain = ["question"]
needs = ["metrics.stg_mrr_states"]
*/
SELECT DISTINCT s.question AS question FROM metrics.stg_mrr_states AS s WHERE s.question IS NOT NULL ORDER BY 1
