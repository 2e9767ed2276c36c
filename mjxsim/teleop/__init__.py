"""A person steers one lane of a running batch, in real time."""
