"""Infrastructure that does not depend on videos or models: errors, files, locks, runs, options, seeds."""
