"""What proves."""
