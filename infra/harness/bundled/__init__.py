"""Tasks that the project makes itself: no network, no licence, small enough for a model trained in a minute."""
