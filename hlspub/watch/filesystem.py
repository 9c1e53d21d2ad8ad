"""Which file systems inotify can be trusted on.

Rule: inotify reports what this machine's kernel does. Where another machine or a hypervisor writes behind its back, it is
silent, and the directory must be polled. The kind comes from /proc/self/mountinfo (proc(5)), found by device number.
"""

import os
from collections.abc import Iterable

REMOTE = frozenset(
    {
        "9p",
        "afs",
        "ceph",
        "cifs",
        "fuse",
        "gfs2",
        "glusterfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "ocfs2",
        "prl_fs",
        "smb3",
        "smbfs",
        "vboxsf",
        "virtiofs",
        "vmhgfs",
    }
)


def kind_of(device: int, mountinfo: Iterable[str]) -> str | None:
    """The file system kind ("ext4", "nfs4", "fuse.sshfs") of `st_dev`, from the lines of mountinfo; None when not listed."""
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in mountinfo:
        mount, separator, source = line.partition(" - ")
        if separator and mount.split(" ")[2:3] == [wanted]:
            return source.split(" ", 1)[0]
    return None


def is_remote(kind: str) -> bool:
    """Whether files of this kind may change without inotify noticing."""
    return kind.partition(".")[0] in REMOTE
