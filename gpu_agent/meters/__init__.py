"""What a job takes: energy, power, memory and time of devices and processes. What cannot be read here is said, never guessed."""
