"""Money: what runs use, what it costs, and the prices."""
