"""Forms, a file for each family of layers; a new file is found by being here. What a form is stands in `form`."""
