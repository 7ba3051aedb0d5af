"""Load generators of others, each in an environment of its own, made from the hashed requirement file beside its module."""
