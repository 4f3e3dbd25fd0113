"""Generation over HTTP or as a serverless function: one bounded queue, one worker, two thin fronts."""
