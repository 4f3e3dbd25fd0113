"""Recording to clips: resample, window, orient, project, derive."""
