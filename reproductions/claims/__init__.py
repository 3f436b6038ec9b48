"""The claims, a file each; all of these are found by being here."""
