"""Trust: what is withheld, and what could not be processed."""
