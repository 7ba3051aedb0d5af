"""What works out: the Faust app and its agents, thin shells over streams/."""
