"""What a user's tests need: a world in virtual time, and a model's server that does as it is told."""

from extrovert.engine.comparing import Compared, Side
from extrovert.testing.model_server import Asked, ModelServer
from extrovert.testing.world import Decision, World, Written

__all__ = ["Asked", "Compared", "Decision", "ModelServer", "Side", "World", "Written"]
