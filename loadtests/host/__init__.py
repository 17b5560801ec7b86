"""What runs on the system's Python, with the standard library alone: it brings the services up and down."""
