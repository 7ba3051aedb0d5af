"""A server of known delays: whatever measures speed is held to what it really sent, and when."""
