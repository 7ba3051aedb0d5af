"""GGUF models by llama.cpp, in a wheel: cyllama."""
