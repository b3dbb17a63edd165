"""Recipes: how to adapt, as data. Shipped ones lie in `recipes/`, a user's own is a YAML file.

The words are those of the field (CaloTransfer, 2512.00187; vit4hep, 2601.05289). A family says of
every parameter which part it belongs to: `embedder`, `backbone.<k>` (block k), `head`, or
`critic.<k>` (the adversary of a GAN). That is all a recipe needs to know of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, ValidationError
from pydantic import model_validator as validates

from catalog.domain.base import Frozen
from catalog.errors import BadFile, NotFound, UsageError
from catalog.strict_yaml import load_yaml
from catalog.validation import explain

Strategy = Literal["scratch", "full", "bitfit", "heads", "top-k", "lora"]
Part = Literal["embedder", "backbone", "head"]
Schedule = Literal["cosine", "constant", "late"]
_MAX_YAML = 100_000  # bytes


class Lora(Frozen):
    """A low-rank update of every matrix: W + alpha / rank * B A (arXiv 2106.09685)."""

    rank: PositiveInt = 8
    alpha: PositiveFloat = 8.0


class Recipe(Frozen):
    """How to adapt. What is left out (None) is measured for the family, or its own choice.

    strategy : what trains: scratch (everything, from nothing), full (everything), bitfit (biases),
        heads (all but the backbone), top-k (the last `top_k` blocks and the head), lora
    backbone_lr, head_lr, embedder_lr : learning rates; 0 freezes the part
    reinitialize : parts that start afresh; they train whatever the strategy
    mesh, interpolate : number of cells (layers, slow, fast) of a new mesh over the same volume, and
        whether weights that lie on the mesh are interpolated onto it (else they start afresh)
    l2sp : pull towards the parent's weights (L2-SP, 1802.01483)
    ema : decay of the average of the weights, which is what is judged and kept
    calibrate : set the marginal statistics from the new showers before the first step
    freeze_discriminator : lower blocks of a GAN's adversary that stay (FreezeD, 2002.10964)
    augment : probability that a shower is shown turned or mirrored
    patience : judgements without improvement after which training stops
    """

    name: Annotated[str, Field(max_length=64)] = "own"
    about: Annotated[str, Field(max_length=500)] = ""
    strategy: Strategy = "full"
    backbone_lr: NonNegativeFloat | None = None
    head_lr: NonNegativeFloat | None = None
    embedder_lr: NonNegativeFloat | None = None
    lora: Lora | None = None
    top_k: PositiveInt | None = None
    reinitialize: tuple[Part, ...] = ()
    mesh: tuple[PositiveInt, PositiveInt, PositiveInt] | None = None
    interpolate: bool = True
    l2sp: NonNegativeFloat = 0.0
    ema: Annotated[float, Field(ge=0, lt=1)] | None = None
    calibrate: bool = True
    freeze_discriminator: Annotated[int, Field(ge=0)] = 0
    augment: Annotated[float, Field(ge=0, le=1)] | None = None
    steps: PositiveInt | None = None
    batch: PositiveInt | None = None
    schedule: Schedule | None = None
    patience: PositiveInt | None = None

    @validates(mode="after")
    def _whole(self) -> Recipe:
        if self.strategy == "lora" and self.lora is None:
            raise ValueError("strategy lora needs `lora: {rank: 8, alpha: 8}`")
        if self.strategy == "top-k" and self.top_k is None:
            raise ValueError("strategy top-k needs `top_k:`")
        return self


class _Measured(Frozen):
    """One measured row of defaults.yaml: what a recipe reached, and with which settings."""

    family: str
    recipe: str
    showers: PositiveInt
    w1: PositiveFloat
    settings: dict[str, Any] = Field(default_factory=dict)
    run: str


def recipe_names() -> list[str]:
    """Names of the shipped recipes."""
    folder = files("catalog.adapt").joinpath("recipes")
    names = (file.name for file in folder.iterdir())
    return sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml"))


def load_recipe(name_or_file: str) -> Recipe:
    """A shipped recipe by name, or the user's own from a YAML file.

    Raises
    ------
    NotFound
        No shipped recipe has that name, or there is no such file.
    BadFile
        The file is not a recipe; names the key.
    """
    if name_or_file in recipe_names():
        text = files("catalog.adapt").joinpath("recipes", f"{name_or_file}.yaml").read_text("utf-8")
        return parse_recipe(text, f"{name_or_file}.yaml", name_or_file)
    path = Path(name_or_file)
    if not path.is_file():
        raise NotFound(
            f"no recipe {name_or_file!r}; shipped: {', '.join(recipe_names())}",
            "give one of these names, or a YAML file of your own",
        )
    if path.stat().st_size > _MAX_YAML:
        raise BadFile(f"{path}: larger than {_MAX_YAML} bytes, so not a recipe")
    return parse_recipe(path.read_text(encoding="utf-8", errors="replace"), str(path), path.stem)


def parse_recipe(text: str, where: str, name: str = "own") -> Recipe:
    """Read a recipe from YAML; see `load_recipe`."""
    try:
        document = load_yaml(text)
    except ValueError as exc:
        raise BadFile(f"{where}: {exc}") from exc
    if not isinstance(document, dict):
        raise BadFile(f"{where}: not a recipe: expected `key: value` lines")
    for key in document:
        if key not in Recipe.model_fields:
            near = get_close_matches(str(key), Recipe.model_fields, 1)
            meant = f"; did you mean {near[0]}?" if near else ""
            known = ", ".join(Recipe.model_fields)
            raise BadFile(f"{where}: unknown key {key!r}{meant}", f"known keys: {known}")
    try:
        return Recipe.model_validate({"name": name[:64], **document})
    except ValidationError as exc:
        raise BadFile(f"{where}: {'; '.join(explain(exc))}") from exc


def default_recipe(family: str, showers: int, scratch: bool = False) -> Recipe:
    """The recipe that reached the lowest w1_geomean with about as many showers, as measured.

    A family that was never measured gets `full` (or `scratch`) with its own learning rates.
    """
    rows = [row for row in _measured(family) if (row.recipe == "scratch") == scratch]
    if not rows:
        return load_recipe("scratch" if scratch else "full")
    best = min(rows, key=lambda row: (_apart(row.showers, showers), row.w1))
    return measured(load_recipe(best.recipe), family, showers)


def best_family(showers: int) -> str:
    """The family whose adapted models reached the lowest w1_geomean with about as many showers."""
    adapted = [row for row in _all_measured() if row.recipe != "scratch"]
    return min(adapted, key=lambda row: (_apart(row.showers, showers), row.w1)).family


def measured(recipe: Recipe, family: str, showers: int) -> Recipe:
    """`recipe` with what it leaves out filled in from the run that measured it, if one did."""
    rows = [row for row in _measured(family) if row.recipe == recipe.name]
    if not rows:
        return recipe
    nearest = min(rows, key=lambda row: (_apart(row.showers, showers), row.w1))
    given = recipe.model_fields_set
    return Recipe.model_validate(
        {**recipe.model_dump(), **{k: v for k, v in nearest.settings.items() if k not in given}}
    )


def learning_rates(recipe: Recipe, parts: Mapping[str, str], default: float) -> dict[str, float]:
    """Learning rate of every parameter that trains; those not named are frozen.

    Parameters
    ----------
    parts : parameter name -> part
    default : where the recipe gives no rate; the family's own for that strategy
    """
    body = default if recipe.backbone_lr is None else recipe.backbone_lr
    rates = {"backbone": body, "critic": body}
    rates["head"] = body if recipe.head_lr is None else recipe.head_lr
    rates["embedder"] = body if recipe.embedder_lr is None else recipe.embedder_lr
    blocks = sorted({_block(part) for part in parts.values() if _kind(part) == "backbone"})
    top = set(blocks[len(blocks) - (recipe.top_k or 0) :])
    found = {}
    for name, part in parts.items():
        if _kind(part) not in rates:
            raise UsageError(f"parameter {name!r} belongs to an unknown part {part!r}")
        if _trains(recipe, name, part, top) and rates[_kind(part)] > 0:
            found[name] = rates[_kind(part)]
    return found


def _trains(recipe: Recipe, name: str, part: str, top: set[int]) -> bool:
    kind = _kind(part)
    if kind == "critic":
        return _block(part) >= recipe.freeze_discriminator
    if recipe.strategy in ("scratch", "full") or kind in recipe.reinitialize:
        return True
    if recipe.strategy == "bitfit":
        return name.rpartition(".")[2] == "bias"
    if recipe.strategy == "heads":
        return kind != "backbone"
    if recipe.strategy == "top-k":
        return kind == "head" or (kind == "backbone" and _block(part) in top)
    return False  # lora trains what it adds, nothing of the parent


def _kind(part: str) -> str:
    return part.partition(".")[0]


def _block(part: str) -> int:
    number = part.partition(".")[2]
    return int(number) if number else 0


def _measured(family: str) -> list[_Measured]:
    return [row for row in _all_measured() if row.family == family]


def _all_measured() -> list[_Measured]:
    text = files("catalog.adapt").joinpath("defaults.yaml").read_text(encoding="utf-8")
    return [_Measured.model_validate(row) for row in load_yaml(text)]


def _apart(a: int, b: int) -> float:
    """How far two numbers of showers are apart, as a ratio of at least 1."""
    return max(a, b) / min(a, b)
