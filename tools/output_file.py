# SPDX-License-Identifier: MIT
"""Files that the tools write: whole, or not at all, and what was there keeps its place. The same
rules as kpksim's own (sim/base/output_file.h)."""
import errno
import fcntl
import os
import secrets
import signal
import stat


def write(path, data):
    """Writes `data` (text or bytes) to `path`, to disk. OSError with the path otherwise.

    A regular file is replaced at once by a new one, made beside it under a name that nothing else
    has; owner, mode and extended attributes stay. A symbolic link stays: its target is the file.
    Where a new file cannot take the old one's place it is written in place. What is no regular file
    is written through, and so is a file that this process has open for writing."""
    path = os.fspath(path)
    data = data.encode() if isinstance(data, str) else data
    try:
        _write(path, data)
    except OSError as error:
        raise type(error)(error.errno, f"cannot be written: {os.strerror(error.errno)}",
                          path) from None


def check(path):
    """OSError if write() would fail for a reason that shows before."""
    path = os.fspath(path)
    old = _look(path)
    if old is not None:
        _refuse(path, old)
    elif not os.access(os.path.dirname(os.path.realpath(path)), os.W_OK | os.X_OK):
        folder = os.path.dirname(os.path.realpath(path))
        number = errno.EACCES if os.path.isdir(folder) else errno.ENOENT
        raise OSError(number, os.strerror(number), path)


def _look(path):
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None


def _refuse(path, old):
    if stat.S_ISDIR(old.st_mode):
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if stat.S_ISBLK(old.st_mode):
        raise OSError(errno.EPERM, "a block device", path)
    if not os.access(path, os.W_OK, effective_ids=True):
        raise OSError(errno.EACCES, os.strerror(errno.EACCES), path)


def _write(path, data):
    old = _look(path)
    if old is not None:
        number = _open_already(old)
        if number is not None:
            return _write_all(number, data)
        _refuse(path, old)
        if not stat.S_ISREG(old.st_mode):
            return _through(path, data)
    target = os.path.realpath(path)
    if not _replace(target, old, data):
        _in_place(target, old, data)
    return None


def _write_all(number, data):
    view = memoryview(data)
    while view:
        view = view[os.write(number, view):]


def _open_already(old):
    for name in os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else []:
        try:
            there = os.fstat(int(name))
            mode = fcntl.fcntl(int(name), fcntl.F_GETFL) & os.O_ACCMODE
        except OSError:
            continue
        if (there.st_dev, there.st_ino) == (old.st_dev, old.st_ino) and mode != os.O_RDONLY:
            return int(name)
    return None


def _through(path, data):
    number = os.open(path, os.O_WRONLY | os.O_NOCTTY)
    try:
        _write_all(number, data)
    finally:
        os.close(number)


def _in_place(target, old, data):
    number = os.open(target, os.O_WRONLY)
    try:
        if len(data) > old.st_size:
            os.posix_fallocate(number, 0, len(data))  # room for all of it, before the first byte
        _write_all(number, data)
        os.ftruncate(number, len(data))
        os.fsync(number)
    finally:
        os.close(number)


def _take_over(number, target, old):
    made = os.fstat(number)
    if (made.st_uid, made.st_gid) != (old.st_uid, old.st_gid):
        os.fchown(number, old.st_uid, old.st_gid)
    for name in os.listxattr(target):
        os.setxattr(number, name, os.getxattr(target, name))
    os.fchmod(number, stat.S_IMODE(old.st_mode))


def _replace(target, old, data):
    """False: the old file is as it was, and is better written in place."""
    if old is not None and old.st_nlink > 1:
        return False
    temporary = os.path.join(os.path.dirname(target), f".kpksim-{secrets.token_hex(4)}.tmp")
    # Ctrl-C between the making of the new file and its renaming would leave it behind: it waits.
    before = signal.pthread_sigmask(signal.SIG_BLOCK,
                                    [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    try:
        try:
            number = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL,
                             0o666 if old is None else 0o600)
        except OSError:
            if old is None:
                raise
            return False
        try:
            try:
                _write_all(number, data)
                if old is not None:
                    try:
                        _take_over(number, target, old)
                    except OSError:
                        os.unlink(temporary)
                        return False
                os.fsync(number)
            finally:
                os.close(number)
            os.rename(temporary, target)
        except OSError as error:
            if os.path.exists(temporary):
                os.unlink(temporary)
            if old is not None and error.errno == errno.EBUSY:  # a mount point
                return False
            raise
        return True
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
