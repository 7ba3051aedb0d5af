"""What Assay reaches: settings, Kafka, ClickHouse, the harness, and the embedded stack."""
