"""Tasks that the project defines itself over data sets of others, where lm-eval has none. Figures say so: they are nobody's standard."""
