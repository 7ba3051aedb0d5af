"""What the API and the pages read of ClickHouse."""
