"""What the parts of the lab can do on this machine, and what the lab itself costs: `make bench`."""
