"""What a run leaves for people and programs: summary.json, report.html and a table in the terminal."""
