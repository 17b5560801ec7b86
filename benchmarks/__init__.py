"""What the parts of the lab can do on this machine: `make bench`."""
