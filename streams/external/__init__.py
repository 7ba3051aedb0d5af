"""Others' results: the forms in which they are published, read into figures that stand beside our own; and our loads written so."""
