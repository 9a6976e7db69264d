"""The one version: the command, OpenAPI, `/health` and the package metadata all show it."""

__version__ = "0.1.0"
