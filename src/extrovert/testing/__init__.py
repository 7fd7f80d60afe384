"""What a user's tests need: a world in virtual time."""

from extrovert.testing.world import Decision, World, Written

__all__ = ["Decision", "World", "Written"]
