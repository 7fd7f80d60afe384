"""HTTP: what people and other programs reach a running engine by."""
