"""Suites: which tasks belong together, each pinned to a version of the task and of its data. One YAML each; pins.json is measured."""
