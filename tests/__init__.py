"""What proves it: unit, contract, integration, end to end."""
