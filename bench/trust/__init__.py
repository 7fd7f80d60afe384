"""The crash-and-stale benchmark: the same small job on Extrovert, DBOS and LangGraph; see docs/trust.md."""
