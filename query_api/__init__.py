"""What answers: the HTTP API, the dashboard and the command line."""
