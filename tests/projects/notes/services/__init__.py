"""A package that is called as the lab's own is."""

GREETING = "Notes of"
