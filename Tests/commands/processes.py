"""The processes of a job under mpirun, seen through /proc."""

import pathlib
import time


def parent_and_state(process):
    fields = (pathlib.Path("/proc") / str(process) / "stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[1]), fields[0]


def ranks(mpirun):
    """The processes of its ranks, in the order of ranks."""
    found = []
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if parent_and_state(folder.name)[0] != mpirun:
                continue
            for entry in (folder / "environ").read_bytes().split(b"\0"):
                if entry.startswith(b"OMPI_COMM_WORLD_RANK="):
                    found.append((int(entry.split(b"=")[1]), int(folder.name)))
        except OSError:
            continue
    return [process for _, process in sorted(found)]


def is_stuck(mpirun):
    """Whether an mpirun that runs has had no rank for twenty seconds.

    That of libpmix 4.2 does not end where a rank was gone before it had answered that rank's first words: it gives what
    it knows of the rank back twice, and waits for ever for a lock in that memory (PMIx_server_finalize)."""
    alone = time.monotonic()
    while mpirun.poll() is None and not ranks(mpirun.pid):
        if time.monotonic() - alone > 20:
            return True
        time.sleep(0.1)
    return False
