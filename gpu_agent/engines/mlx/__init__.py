"""Models of the Hugging Face format, and MLX's own, by MLX."""
