"""The side-by-side page in Locust's web UI: both targets under load, moving."""
