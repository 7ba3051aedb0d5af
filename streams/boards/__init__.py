"""Boards: who stands where, and how two runs differ."""
