import Collectives
import Glibc
import Kernels

/// Not a test: medians of the time of one sum of 49 MB, kinds in turn. `mpirun -n 2 mpi-tests bench`.
func bench(_ communicator: MPICommunicator) throws {
    let count = 12_200_000
    let table = try ShardTable(shards: communicator.size, communicator: communicator)
    let sums = try GradientSum.Kind.allCases.map {
        try GradientSum(count: count, scale: 0.5, table: table, communicator: communicator, kind: $0)
    }
    var times = [[Double]](repeating: [], count: sums.count)
    for turn in 0 ..< 21 {
        for (number, sum) in sums.enumerated() {
            sum.beginShard()
            sum.slot.fill(1)
            sum.endShard()
            try communicator.barrier()
            let start = clock_gettime_nsec()
            let result = try sum.finish()
            let mine = clock_gettime_nsec() - start
            try require(result[count - 1] == 0.5 * Float(communicator.size), "a wrong sum")
            let slowest = Double(try communicator.maximum(mine)) / 1e6
            if turn > 0 { times[number].append(slowest) }
        }
    }
    if communicator.rank > 0 { return }
    for (number, sum) in sums.enumerated() {
        let sorted = times[number].sorted()
        let columns = [sorted[sorted.count / 2], sorted[0], sorted[sorted.count - 1]].map {
            "\(($0 * 100).rounded() / 100)"
        }
        print("\(sum.kind.rawValue): median \(columns[0]) ms, \(columns[1]) to \(columns[2])")
    }
}

private func clock_gettime_nsec() -> Int {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return time.tv_sec * 1_000_000_000 + time.tv_nsec
}
