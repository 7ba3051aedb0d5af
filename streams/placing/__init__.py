"""Where a run's model goes, chosen when the run is planned."""
