"""One loaded version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catalog.errors import UsageError
from registry_server.errors import RunFailed, quoted
from registry_server.tensors import Array, Limits, Tensor, check_inputs, check_outputs


@dataclass(frozen=True)
class Model:
    """One loaded version.

    bytes : what its session holds, measured
    row_seconds, batch_seconds : what one row and `batch_rows` took at warm-up
    batch_rows : rows that requests may share one run for, 0 if each is run alone
    unbatched : why each is run alone, "" if not
    """

    name: str
    version: int
    digest: str
    folder: Path
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    session: Any
    limits: Limits
    bytes: int = 0
    row_seconds: float = 0.0
    batch_seconds: float = 0.0
    batch_rows: int = 0
    unbatched: str = "not looked at"

    @property
    def ref(self) -> str:
        """`name@version`."""
        return f"{self.name}@{self.version}"

    def seconds(self, rows: int) -> float:
        """About how long a run takes."""
        if rows <= 1 or not self.batch_seconds:
            return self.row_seconds * rows
        each = (self.batch_seconds - self.row_seconds) / (self.batch_rows - 1)
        return self.row_seconds + max(each, 0.0) * (rows - 1)

    def check(self, inputs: Mapping[str, Array], wanted: Sequence[str] = ()) -> list[str]:
        """Check a request; the outputs to compute, in the order they shall have.

        Raises
        ------
        UsageError
        """
        known = {tensor.name: tensor for tensor in self.outputs}
        for name in wanted:
            if name not in known:
                gives = ", ".join(map(quoted, known))
                raise UsageError(f"unknown output {quoted(name)}", f"this model gives {gives}")
        names = list(wanted or known)
        sizes = check_inputs(inputs, self.inputs, self.limits)
        check_outputs([known[name] for name in names], sizes, self.limits)
        return names

    def run(self, inputs: Mapping[str, Array], names: Sequence[str]) -> list[Array]:
        """Run the model on checked inputs. Any number of threads may: a session needs no lock.

        Raises
        ------
        RunFailed
        """
        try:
            values: list[Array] = self.session.run(names, inputs)
        except Exception as exc:
            raise RunFailed(
                f"{self.ref} failed on these inputs; their names, datatypes and shapes are right",
                "check the values, or try one row at a time",
            ) from exc
        return values
