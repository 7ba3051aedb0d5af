"""Models behind an address with OpenAI's interface."""
