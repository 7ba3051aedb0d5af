"""Who comes in: API keys, sessions of browsers, what each may do and how often."""
