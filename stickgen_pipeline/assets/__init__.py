"""One module a stage: each returns the steps that are its assets."""
