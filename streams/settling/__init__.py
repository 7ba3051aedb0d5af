"""Settling: the runs that are open, what they have come to, and what is said of them before they are forgotten."""
