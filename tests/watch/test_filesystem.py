import os
from pathlib import Path

import pytest

from hlspub.watch.filesystem import is_remote, kind_of

MOUNTINFO = [
    "21 28 0:20 / /sys rw,nosuid - sysfs sysfs rw\n",
    "28 1 254:1 / / rw,relatime - ext4 /dev/vda1 rw\n",
    "90 28 0:45 / /mnt/with\\040space rw shared:7 master:2 - nfs4 server:/export - rw,vers=4.2\n",
    "91 28 0:46 / /mnt/ssh rw - fuse.sshfs user@host:/ rw\n",
    "a broken line\n",
    "\n",
]


@pytest.mark.parametrize(
    ("device", "kind"),
    [((254, 1), "ext4"), ((0, 45), "nfs4"), ((0, 46), "fuse.sshfs"), ((0, 20), "sysfs"), ((8, 1), None)],
)
def test_the_kind_is_found_by_the_device(device: tuple[int, int], kind: str | None) -> None:
    assert kind_of(os.makedev(*device), MOUNTINFO) == kind


def test_this_machine_s_own_mounts_are_found() -> None:
    with Path("/proc/self/mountinfo").open() as lines:
        assert kind_of(Path("/proc").stat().st_dev, lines) == "proc"


def test_remote_kinds_are_told_from_local_ones() -> None:
    assert all(map(is_remote, ("nfs", "nfs4", "cifs", "fuse.sshfs", "fuse", "9p", "virtiofs")))
    assert not any(map(is_remote, ("ext4", "xfs", "btrfs", "tmpfs", "overlay", "zfs", "fuseblk")))
