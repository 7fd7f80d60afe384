"""One script per system, each run as a process of its own in an environment of its own: `python -m … TASK RESULT`."""
