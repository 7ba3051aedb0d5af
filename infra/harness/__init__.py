"""The one door to lm-eval and to data sets: building tasks, scoring answers, aggregating scores."""
