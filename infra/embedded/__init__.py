"""The stack without a container engine: the real broker, the real ClickHouse engine, and a registry, all on loopback."""
