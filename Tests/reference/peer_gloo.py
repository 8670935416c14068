#!/usr/bin/env python3
"""The sum of a vector over ranks by gloo (torch.distributed), timed: a peer of `gan-dist bench allreduce` for
launch/benchmarks/peers.

    torchrun --nproc_per_node=2 peer_gloo.py --count 12200000 --repetitions 15

Prints one JSON object; a sum's time is that of the slowest rank.
"""

import argparse
import json
import statistics
import time

import torch
import torch.distributed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=12_200_000)
    parser.add_argument("--repetitions", type=int, default=15)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo")
    values = torch.empty(arguments.count)
    seconds = []
    for number in range(arguments.repetitions + 2):
        values.fill_(1)
        torch.distributed.barrier()
        start = time.perf_counter()
        torch.distributed.all_reduce(values)
        slowest = torch.tensor(time.perf_counter() - start, dtype=torch.float64)
        torch.distributed.all_reduce(slowest, torch.distributed.ReduceOp.MAX)
        if number >= 2:
            seconds.append(slowest.item())
    assert values[-1] == torch.distributed.get_world_size()
    if torch.distributed.get_rank() == 0:
        print(json.dumps({"torch": torch.__version__, "ranks": torch.distributed.get_world_size(),
                          "bytes": 4 * arguments.count,
                          "seconds_median": statistics.median(seconds), "seconds_min": min(seconds)}))
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
