"""The policy table: who may do what. A route that is not in it answers nobody.

`owner` is a publisher whose model it is (or whose it becomes: nobody published it before) or an
admin; `own` is whoever made the thing (an upload, a job) or an admin.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from registry_server.auth.caller import Caller, Role

Extra = Literal["", "owner", "own"]


class Need(NamedTuple):
    """The least role (None: anybody, without a token too), and what else must be true."""

    role: Role | None
    also: Extra = ""

    def allows(self, caller: Caller | None) -> bool:
        """Whether the role suffices; `also` is checked where the thing is known."""
        return self.role is None or (caller is not None and caller.may(self.role))


# By the name of the route.
POLICY: dict[str, Need] = {
    "openapi": Need("reader"),
    "about": Need("reader"),
    "list_models": Need("reader"),
    "get_model": Need("reader"),
    "list_versions": Need("reader"),
    "get_version": Need("reader"),
    "get_card": Need("reader"),
    "list_files": Need("reader"),
    "get_blob": Need("reader"),
    "list_aliases": Need("reader"),
    "set_alias": Need("publisher", "owner"),
    "remove_alias": Need("publisher", "owner"),
    "get_owner": Need("reader"),
    "set_owner": Need("admin"),
    "start_upload": Need("publisher", "owner"),
    "get_upload": Need("publisher", "own"),
    "put_bytes": Need("publisher", "own"),
    "commit_upload": Need("publisher", "own"),
    "drop_upload": Need("publisher", "own"),
    "get_stores": Need("reader"),
    "start_sync": Need("admin"),
    "start_recommend": Need("reader"),
    "list_runs": Need("reader"),
    "list_jobs": Need("reader"),
    "get_job": Need("reader", "own"),
    "follow_job": Need("reader", "own"),
    "cancel_job": Need("reader", "own"),
    "look_up": Need("reader"),
    "list_names": Need("reader"),
    "list_uploads": Need("publisher"),
    "list_missing": Need("publisher"),
    "make_shortlist": Need("reader"),
    "add_adaptations": Need("publisher"),
    "put_card": Need("publisher", "owner"),
    "start_verify": Need("publisher"),
}

# Web pages, by the name of the route.
PAGES: dict[str, Need] = {
    "page_static": Need(None),
    "page_sign_in": Need(None),
    "page_sign_in_post": Need(None),
    "page_sign_out": Need(None),
    "page_find": Need("reader"),
    "page_model": Need("reader"),
    "page_version": Need("reader"),
    "page_fit": Need("reader"),
    "page_fit_upload": Need("reader"),
    "page_fit_detector": Need("reader"),
    "page_job": Need("reader", "own"),
    "page_job_cancel": Need("reader", "own"),
    "page_map": Need("reader"),
    "page_compare": Need("reader"),
    "page_runs": Need("reader"),
    "page_stores": Need("reader"),
    "page_stores_sync": Need("admin"),
}

# Everything else, by the beginning of its path; the first that fits counts. What fits none needs an
# admin.
OUTSIDE: tuple[tuple[str, Need], ...] = (
    ("/v2/health/live", Need(None)),
    ("/v2/health/ready", Need(None)),
    ("/v2/repository/models/", Need("admin")),
    ("/v2", Need("reader")),
    ("/metrics", Need("reader")),
)
_NOBODY_KNOWS = Need("admin")


def need_outside(path: str) -> Need:
    """What a path outside /api/ needs."""
    return next((need for start, need in OUTSIDE if _below(path, start)), _NOBODY_KNOWS)


def _below(path: str, start: str) -> bool:
    return path == start or path.startswith(start if start.endswith("/") else start + "/")
