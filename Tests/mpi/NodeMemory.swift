import Collectives
import Kernels
import Support

/// Vectors that the ranks of a group have once, on pretended nodes of 1, 2 and 3 ranks and of all: what each rank makes
/// of its parts all see, the vectors of one rank come to all nodes, and a flipped bit is found on every rank, also when
/// its part has been changed again.
func nodeMemory(_ communicator: MPICommunicator) throws {
    let count = 100_003, last = communicator.size - 1
    for ranksANode in [communicator.size, 1, 2, 3] {
        let nodes = PretendedNodes(communicator, ranksANode: ranksANode)
        let vectors = try SharedVectors(count: count, number: 2, among: nodes.nodeGroups, nodes)
        let values = vectors.vectors[1].values
        try require(vectors.isShared == (ranksANode > 1 && last > 0), "\(ranksANode) ranks a node do not share")
        for turn in 1 ... 3 {
            let sum = try vectors.changeSumming { number, range in
                for index in range { values[index] += Float(index % 7 * turn) }
                return 1 / Double(number + 3)
            }
            try communicator.requireEqual(sum.bitPattern, "the sums over the parts")
        }
        for index in 0 ..< count where values[index] != Float(index % 7 * 6) {
            throw Failed(description: "value \(index) is \(values[index])")
        }
        try vectors.requireUndisturbed(nodes, "the vectors")
        try communicator.barrier()
        if communicator.rank == last { values.fill(2.5) }
        try vectors.share(from: last, nodes)
        try require(values[0] == 2.5 && values[count - 1] == 2.5, "what rank \(last) has did not come here")
        try communicator.requireEqual(vectors.fingerprint(nodes), "the fingerprints")
        guard vectors.isShared else { continue }
        for changes in [0, 2] {
            try communicator.barrier()
            if communicator.rank == 0 { values[5] = Float(bitPattern: values[5].bitPattern ^ 1 << 9) }
            try vectors.barrier()
            for _ in 0 ..< changes {
                vectors.change { _, range in for index in range { values[index] *= 0.75 } }
                try vectors.barrier()
            }
            var finding = "nothing"
            do { try vectors.requireUndisturbed(nodes, "the vectors") } catch { finding = Failure.of(error).message }
            try require(finding.contains("not what rank 0 "), "after \(changes) changes was found: \(finding)")
            try vectors.settle()
        }
    }
}
