"""The processes of a job under mpirun, seen through /proc."""

import pathlib


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
