"""What Assay says: every event as a frozen model, its Avro schema, and the codec between the two."""
