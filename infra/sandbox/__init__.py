"""Runs programs that nobody trusts: behind walls, within limits, and believing nothing that they say of themselves."""
