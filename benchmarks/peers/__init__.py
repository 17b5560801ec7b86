"""The same page by other means: what the ASGI target's CPU per page is compared with."""
