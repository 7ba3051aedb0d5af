"""Deciding: which model on which hardware, how surely, and what to measure next."""
