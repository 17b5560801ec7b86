"""Threads or tasks that only sleep, and what they cost."""
