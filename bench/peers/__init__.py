"""The same work on Extrovert, on its peers and in a plain loop; see docs/performance.md. Imports nothing by itself."""
