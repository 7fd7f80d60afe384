"""Writes as JSON what AgentDojo publishes about its travel suite; it runs in an environment that has that package.

Its own code makes the texts: each of its attacks, for each of its injection tasks, in each review that a task of the
user leads to. What a task wants to be done are the calls of its ground truth.
"""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any

VICTIM = "gpt-4o-2024-05-13"
"""Some attacks speak to a model by its name."""


def planted(attack: Any, suite: Any, task: Any) -> dict[str, str]:
    """The texts of an attack, by where they stand."""
    texts: dict[str, str] = {}
    for wish in suite.user_tasks.values():
        try:
            texts |= attack.attack(wish, task)
        except ValueError:  # for this wish no review is read
            continue
    return texts


def reviews(suite: Any, texts: dict[str, str]) -> dict[str, list[str]]:
    """All reviews, by what they are about."""
    world = suite.load_and_inject_default_environment(texts)
    places = (*world.hotels.hotel_list, *world.restaurants.restaurant_list, *world.car_rental.company_list)
    return {place.name: place.reviews for place in places}


def main() -> None:
    element: Any = import_module("agentdojo.agent_pipeline").BasePipelineElement
    registry: Any = import_module("agentdojo.attacks.attack_registry")
    import_module("agentdojo.attacks")  # it fills that
    suite: Any = import_module("agentdojo.task_suite").get_suite("v1.2.2", "travel")
    victim: Any = type("Victim", (element,), {"name": VICTIM, "query": None})()  # nobody asks it
    clean = suite.load_and_inject_default_environment({})
    tasks = [
        {"name": name, "goal": task.GOAL, "calls": [[call.function, call.args] for call in task.ground_truth(clean)]}
        for name, task in suite.injection_tasks.items()
    ]
    attacks: list[dict[str, Any]] = []
    for kind, made in registry.ATTACKS.items():
        if kind == "manual":  # it asks a person for the text
            continue
        attack = made(suite, victim)
        for name, task in suite.injection_tasks.items():
            attacks.append({"attack": kind, "task": name, "reviews": reviews(suite, planted(attack, suite, task))})
    hotels = [{"name": one.name, "city": one.city, "price": one.price_min} for one in clean.hotels.hotel_list]
    print(json.dumps({"user": clean.user.model_dump(), "hotels": hotels, "tasks": tasks, "attacks": attacks}))


if __name__ == "__main__":
    main()
