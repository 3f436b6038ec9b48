"""The rules, a family a file: every module here is read at import, and what it defines is registered."""
