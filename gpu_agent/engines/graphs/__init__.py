"""Models that are a function of tokens and of what came before them: how they are asked, whoever computes it."""
