"""One runner for each system: a process that does the job from where it stands, and can be killed at any moment."""
