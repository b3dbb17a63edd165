"""The verbs, their help lines, and where each one's body is."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple


class Verb(NamedTuple):
    """`module` is imported only when the verb is asked for; None: an entry point provides it."""

    help: str
    module: str | None


VERBS = {
    "search": Verb("Find models by detector, particle, energy, task, text.", "catalog.cli.search"),
    "show": Verb("Show everything the catalog knows about a model.", "catalog.cli.show"),
    "publish": Verb("Check a version folder and publish it.", "catalog.cli.publish"),
    "sign": Verb("Check a version folder and sign it.", "catalog.cli.sign"),
    "pull": Verb("Fetch a version, verify it, print where it is.", "catalog.cli.pull"),
    "verify": Verb("Read files in their store again, compare digests.", "catalog.cli.verify"),
    "replicate": Verb("Copy versions to another store.", "catalog.cli.replicate"),
    "export": Verb("Write a version for another catalog.", "catalog.cli.export"),
    "import": Verb("Make a version folder of a foreign one.", "catalog.cli.import_"),
    "alias": Verb("Name a version: champion, production ...", "catalog.cli.alias"),
    "recommend": Verb("Which model to adapt to your showers, or none.", "catalog.cli.recommend"),
    "quote": Verb("Time, money and CO2 of a job, before it starts.", "catalog.cli.quote"),
    "adapt": Verb("Adapt a model to your showers.", "catalog.cli.adapt"),
    "train": Verb("Train a model from nothing; resumable.", "catalog.cli.train"),
    "validate": Verb("Compare a model with full simulation.", "catalog.cli.validate"),
    "report": Verb("Write plots and numbers of an adapted model as HTML.", "catalog.cli.report"),
    "serve": Verb("Serve models, and the catalog, over HTTP.", None),
    "token": Verb("Make, list and end API tokens of the server.", None),
    "stores": Verb("List, add, remove or try named stores.", "catalog.cli.stores"),
    "sync": Verb("Bring the index up to date with the stores.", "catalog.cli.sync"),
    "annotate": Verb("Give somebody else's version a card.", "catalog.cli.annotate"),
    "runs": Verb("List recorded adaptations.", "catalog.cli.runs"),
    "detectors": Verb("List known detectors, show one, check your own.", "catalog.cli.detectors"),
    "fingerprint": Verb("Summarise showers so that they compare.", "catalog.cli.fingerprint"),
    "simulate": Verb("Make showers by parametrised simulation.", "catalog.cli.simulate"),
    "doctor": Verb("Look for what is wrong with this installation.", "catalog.cli.doctor"),
    "bench": Verb("Run a benchmark of a source checkout.", "catalog.cli.bench"),
    "demo": Verb("The whole story on full-simulation showers.", None),
}


def load(name: str) -> Callable[..., Any]:
    """Import the body of a verb.

    Raises
    ------
    NotFound, MissingExtra
        The part of the distribution that provides it is not installed.
    """
    module = VERBS[name].module
    if module is not None:
        body: Callable[..., Any] = import_module(module).run
        return body
    from catalog.plugins import load_plugin

    hint = "reinstall hep-model-catalog: this verb is part of it"
    found: Callable[..., Any] = load_plugin("commands", name, what="verb", extra=name, hint=hint)
    return found
