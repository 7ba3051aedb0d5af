"""Loads to measure speed under."""
