"""The engine: ONNX Runtime sessions behind names, versions and aliases. Knows nothing of HTTP."""

from registry_server.engine.engine import Engine
from registry_server.engine.model import Model
from registry_server.engine.source import CatalogSource, Found, MemorySource, Servable, Source

__all__ = ["CatalogSource", "Engine", "Found", "MemorySource", "Model", "Servable", "Source"]
