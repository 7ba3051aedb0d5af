"""A program that goes behind walls and becomes another: `python entering.py PLAN COMMAND…`, by the standard library alone.

Two kinds of walls, the strongest that a machine gives:

- *namespaces*: of users, mounts, processes, network, IPC and host name. Its root holds nothing but read-only binds of the paths that it is
  given, /dev/null, and a scratch folder in memory, of a fixed size. It is nobody there, and process 1.
- *landlock*: for containers that may make no namespaces. Only the given paths can be opened, read-only; nothing can be written. (An
  import looks into the folder that holds its package, so names there can be listed.)

In both, the seccomp filter comes last (infra/sandbox/syscalls.py): without processes, sockets and signals, whoever is within reaches
nothing of what Landlock leaves in sight. When whoever started this dies, it dies.

Source: man-pages user_namespaces(7), pivot_root(2), mount_setattr(2), landlock(7), seccomp(2), prctl(2).
"""

import ctypes
import json
import os
import stat
import struct
import sys
from typing import Any

CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC = 0x20000, 0x2000000, 0x4000000, 0x8000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE, MNT_DETACH = 2, 4, 0x1000, 0x4000, 0x40000, 2
ATTR_RDONLY, ATTR_NOSUID, ATTR_NODEV, AT_RECURSIVE, AT_FDCWD = 1, 2, 4, 0x8000, -100
PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, SIGKILL = 1, 22, 38, 9
# Numbers that differ between machines; those from 424 on are the same on all.
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
MOUNT_SETATTR, LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT = 442, 444, 445, 446
NOBODY = 65534
EXECUTE, READ_FILE, READ_DIR = 1 << 0, 1 << 2, 1 << 3
libc = ctypes.CDLL(None, use_errno=True)


def must(result: int, what: str) -> int:
    """The result of a system call. Raises: OSError with what was tried."""
    if result < 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")
    return result


def prctl(option: int, value: int, pointer: object = 0, *, what: str) -> None:
    """Changes this process."""
    must(libc.prctl(option, ctypes.c_ulong(value), pointer, 0, 0), what)


def mount(source: str, target: str, kind: str, flags: int, data: str) -> None:
    """Mounts."""
    must(libc.mount(source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), data.encode()), f"mounting {target}")


def keep_read_only(path: str, flags: int, *, deep: bool) -> None:
    """Makes a mount, and with `deep` all below it, read-only for good."""
    told = struct.pack("=QQQQ", flags, 0, 0, 0)
    mode = AT_RECURSIVE if deep else 0
    must(libc.syscall(MOUNT_SETATTR, AT_FDCWD, path.encode(), mode, told, len(told)), f"making {path} read-only")


def die_with_parent() -> None:
    """Lets this process be killed when its parent ends."""
    prctl(PR_SET_PDEATHSIG, SIGKILL, what="tying to the parent")


def enter_namespaces(plan: dict[str, Any]) -> None:
    """Becomes process 1 of namespaces of its own, in a root of its own. The process that calls this waits for it, and ends as it ends."""
    user, group = os.geteuid(), os.getegid()
    kinds = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP
    must(libc.unshare(kinds), "making namespaces")
    for name, told in (("setgroups", "deny"), ("uid_map", f"{NOBODY} {user} 1"), ("gid_map", f"{NOBODY} {group} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(told)
    child = os.fork()
    if child:
        status = os.waitpid(child, 0)[1]
        os._exit(128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status))
    die_with_parent()
    change_root(plan)


def change_root(plan: dict[str, Any]) -> None:
    """Makes the root that the plan describes, and leaves all else behind."""
    root = "/tmp"  # noqa: S108  # the sandbox is entered there
    held = {path: os.open(path, os.O_PATH | os.O_CLOEXEC) for path in [*plan["read"], "/dev/null"]}  # the root will hide what is in /tmp
    mount("none", "/", "none", MS_REC | MS_PRIVATE, "")
    mount("sandbox", root, "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,mode=755")
    for path, source in held.items():
        bind(source, root + path, folder=stat.S_ISDIR(os.fstat(source).st_mode))  # by now the path may lead nowhere
        keep_read_only(root + path, ATTR_NOSUID | (0 if path == "/dev/null" else ATTR_RDONLY | ATTR_NODEV), deep=True)
    os.mkdir(root + "/scratch")
    mount("scratch", root + "/scratch", "tmpfs", MS_NOSUID | MS_NODEV, f"size={plan['files_bytes']},nr_inodes=1000,mode=700")
    keep_read_only(root, ATTR_RDONLY, deep=False)
    os.chdir(root)
    must(libc.syscall(PIVOT_ROOT[os.uname().machine], b".", b"."), "changing the root")
    must(libc.umount2(b".", MNT_DETACH), "leaving the old root")
    os.chdir("/scratch")


def bind(source: int, target: str, *, folder: bool) -> None:
    """Shows what `source` is open on at `target`."""
    os.makedirs(target if folder else os.path.dirname(target), exist_ok=True)
    if not folder and not os.path.exists(target):
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o600))
    mount(f"/proc/self/fd/{source}", target, "none", MS_BIND | MS_REC, "")


def enter_landlock(plan: dict[str, Any]) -> None:
    """From now on only the plan's paths can be opened, and only to be read."""
    version = must(libc.syscall(LANDLOCK_CREATE, None, 0, 1), "Landlock")
    files = (1 << (13 if version == 1 else 14 if version == 2 else 15 if version < 5 else 16)) - 1
    rules = struct.pack("=QQQ", files, 0b11 if version >= 4 else 0, 0b11 if version >= 6 else 0)
    size = 8 if version < 4 else 16 if version < 6 else 24
    ruleset = must(libc.syscall(LANDLOCK_CREATE, rules, size, 0), "making Landlock rules")
    for path in [*plan["read"], *plan["list"]]:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        rights = (EXECUTE | READ_FILE if path in plan["read"] else 0) | (READ_DIR if os.path.isdir(path) else 0)
        must(libc.syscall(LANDLOCK_ADD, ruleset, 1, struct.pack("=Qi", rights, place), 0), f"allowing {path}")
    os.chdir("/")
    prctl(PR_SET_NO_NEW_PRIVS, 1, what="giving up privileges")
    must(libc.syscall(LANDLOCK_RESTRICT, ruleset, 0), "entering Landlock")


def set_filter(program: bytes) -> None:
    """Allows from now on only the filter's system calls."""
    buffer = ctypes.create_string_buffer(program)
    told = struct.pack("=H6xQ", len(program) // 8, ctypes.addressof(buffer))
    prctl(PR_SET_NO_NEW_PRIVS, 1, what="giving up privileges")
    prctl(PR_SET_SECCOMP, 2, told, what="setting the filter of system calls")


def main() -> None:
    """Enters, and becomes the command."""
    plan, command = json.loads(sys.argv[1]), sys.argv[2:]
    die_with_parent()
    if os.getppid() != plan["parent"]:
        os._exit(1)  # it ended before it was tied to
    {"namespaces": enter_namespaces, "landlock": enter_landlock}[plan["walls"]](plan)
    with open(plan["filter_file"], "rb") as file:
        set_filter(file.read())
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
