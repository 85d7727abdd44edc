/*
kind = "staging"
through = "pricing"
meaning.en = "What subscriptions will be worth a month by what is decided of them, exactly, each item rounded once."
meaning.fr = "Ce que vaudront par mois les abonnements d’après ce qui en est décidé, exactement, chaque élément arrondi une fois."
grain = ["question"]
needs = ["metrics.stg_committed_steps"]
*/
SELECT DISTINCT s.question AS question FROM metrics.stg_committed_steps AS s WHERE s.question IS NOT NULL ORDER BY 1
