"""`corpus`: build the training corpus, whose recipes lie in a checkout of the repository."""

import sys

from mowe import shipped
from mowe.cli.desk import Desk, given
from mowe.errors import ConfigError


def run(desk: Desk) -> int:
    """Build the corpus; 1 if its sources or the disk do not allow it.

    Raises:
        ConfigError: If this is no checkout, or there is no such source or task.
    """
    if shipped.CHECKOUT is None:
        raise ConfigError(
            "the recipes of the corpus lie in the repository, this is an installed copy;"
            " run `python -m mowe corpus` in a checkout"
        )
    if str(shipped.CHECKOUT) not in sys.path:  # an editable installation maps the package alone
        sys.path.append(str(shipped.CHECKOUT))
    from corpus.command import build

    return build(given(vars(desk.options)), desk.out)
