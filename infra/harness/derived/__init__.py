"""Derived tasks: their documents are the answers of another run, read from the log; the model that is evaluated judges them."""
