"""Models by vLLM, in the engine's own process."""
