"""The schedules, a family a file; all of these are read at import."""
