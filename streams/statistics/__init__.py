"""Statistics: intervals, sequences, clusters, agreement, differences."""
