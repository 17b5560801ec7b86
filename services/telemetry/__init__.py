"""What the services report of themselves while they are under load."""
