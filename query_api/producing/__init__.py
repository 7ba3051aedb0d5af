"""What clients ask for: validated, produced to Kafka, and no more."""
