"""`python -m holysheep_nb` is `holysheep-nb`."""

import sys

from holysheep_nb.cli import main

sys.exit(main())
