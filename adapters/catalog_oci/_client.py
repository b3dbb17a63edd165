"""The SDK's clients, with one signer for all and bounds on every wait.

Left alone, the SDK retries eight times over ten minutes, and `oracle-ads` reads the key again for
each object.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catalog.errors import NotAuthorised
from catalog_oci._edge import Edge
from catalog_oci._place import Place

_QUICK = (3, 10)  # seconds to connect, and between bytes
_PATIENT = (3, 120)  # while an artifact is on its way, or stored
_ATTEMPTS = 4
_PATIENCE = 8  # seconds after which a failure is not tried again: a dead host is given up in 15
_INSTANCE, _RESOURCE = "instance-principal", "resource-principal"


@dataclass(frozen=True)
class Clients:
    """`science` and `buckets` for questions, `carrier` for artifacts: it never repeats itself."""

    science: Any
    carrier: Any
    buckets: Any


def connect(place: Place, edge: Edge) -> Clients:
    """Make the clients; nothing is contacted yet, but for the token of a principal.

    Raises
    ------
    NotAuthorised
        No configuration, no such profile, no readable key.
    """
    with edge.translated():
        import oci
        from oci.data_science import DataScienceClient
        from oci.object_storage import ObjectStorageClient

        config, signer = _identity(place)
        common: dict[str, Any] = {
            "signer": signer,
            "circuit_breaker_strategy": oci.circuit_breaker.NoCircuitBreakerStrategy(),
        }
        if place.endpoint:
            common["service_endpoint"] = place.endpoint
        quick = common | {"timeout": _QUICK, "retry_strategy": _retries(oci)}
        once = common | {"timeout": _PATIENT, "retry_strategy": oci.retry.NoneRetryStrategy()}
        patient = common | {"timeout": _PATIENT, "retry_strategy": _retries(oci)}
        return Clients(
            DataScienceClient(config, **quick),
            DataScienceClient(config, **once),
            ObjectStorageClient(config, **patient),
        )


def _retries(oci: Any) -> Any:
    return oci.retry.RetryStrategyBuilder(
        max_attempts_check=True,
        max_attempts=_ATTEMPTS,
        total_elapsed_time_check=True,
        total_elapsed_time_seconds=_PATIENCE,
        service_error_check=True,
        service_error_retry_on_any_5xx=True,
        service_error_retry_config={-1: [], 409: ["IncorrectState", "LockConflict"], 429: []},
        retry_base_sleep_time_seconds=0.3,
        retry_exponential_growth_factor=2,
        retry_max_wait_between_calls_seconds=3,
        backoff_type=oci.retry.BACKOFF_FULL_JITTER_EQUAL_ON_THROTTLE_VALUE,
    ).get_retry_strategy()


def _identity(place: Place) -> tuple[dict[str, Any], Any]:
    """The configuration and the one signer, from where Oracle's own tools look."""
    import oci

    if place.profile == _INSTANCE:
        signer = oci.auth.signers.InstancePrincipalsSecurityTokenSigner(
            retry_strategy=_retries(oci), federation_client_retry_strategy=_retries(oci)
        )
        return {"region": signer.region}, signer
    if place.profile == _RESOURCE:
        signer = oci.auth.signers.get_resource_principals_signer()
        return {"region": signer.region}, signer
    config = oci.config.from_file(profile_name=place.profile)
    if "security_token_file" in config:
        return config, _session_signer(oci, config)
    oci.config.validate_config(config)
    return config, oci.signer.Signer.from_config(config)


def _session_signer(oci: Any, config: dict[str, Any]) -> Any:
    """What `oci session authenticate` left: a token and a key of its own."""
    path = Path(config["security_token_file"]).expanduser()
    try:
        token = path.read_text().strip()
    except OSError as exc:
        raise NotAuthorised(
            f"{path}: {exc.strerror}", "sign in again: oci session authenticate"
        ) from exc
    key = oci.signer.load_private_key_from_file(config["key_file"], config.get("pass_phrase"))
    return oci.auth.signers.SecurityTokenSigner(token, key)
