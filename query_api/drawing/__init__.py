"""What pages draw and say: charts, strips of time, names, groups."""
