"""What is measured: a slow upstream (`api`) and the Django project that aggregates it."""
