"""Predicting what nobody measured, with intervals that were held to what was, and never shown as a measurement."""
