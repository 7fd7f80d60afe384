"""Specifications of the examples."""
