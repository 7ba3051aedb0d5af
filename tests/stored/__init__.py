"""Bytes of every released schema version, as they were written then: they must decode for ever."""
