"""The load generator: it runs beside the services and measures them with Locust."""
