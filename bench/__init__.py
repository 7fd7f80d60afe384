"""Benches: what the paths that matter cost, beside a plain reference in the same run. See docs/performance.md."""
