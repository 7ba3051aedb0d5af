"""What the events mean: topics, the run's state machine, and the pure folds and rules. No clock, chance, I/O or framework."""
