"""A trained model over HTTP: next baskets, completions, next visits, and states that follow each
finished trip."""
