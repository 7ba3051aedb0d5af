"""Metrics that any task may be asked for beside its own, none of which needs a model."""
