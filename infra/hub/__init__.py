"""Models from a hub: asked for, chosen, fetched, kept within a limit."""
