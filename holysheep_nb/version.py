"""The version, as installed."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("holysheep_nb")
except PackageNotFoundError:
    __version__ = "0+unknown"
