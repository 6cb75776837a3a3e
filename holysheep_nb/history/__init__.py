"""What the cells of a notebook have said: read back from the saved file, listed, and compared version by version.

Reading is data only: nothing of a notebook is run, and what it holds that cannot be read is left out with a note.
"""

from .memory import Memory

__all__ = ["Memory"]
