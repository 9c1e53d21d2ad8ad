"""Running a program without root's power over permissions.

Theory: who runs the tests as root may read and write everything, so a closed file is open to him. Another user would be
refused, but may not reach the interpreter itself, when that lies in root's home. So it stays the same user and gives
away the two capabilities that pass over the mode of a file: capabilities(7), CAP_DAC_OVERRIDE and
CAP_DAC_READ_SEARCH. What root owns, root may then use as its mode says; what another owns is another's.
"""

import os

NOBODY = 65534
_POWERS = "-dac_override,-dac_read_search"


def powerless() -> list[str]:
    """What to put before a command, so that file permissions hold for it. Needs setpriv (Debian's util-linux)."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", "--bounding-set", _POWERS, "--inh-caps", _POWERS]
