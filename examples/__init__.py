"""Examples of Extrovert, each an app of its own."""
