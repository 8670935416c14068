import Collectives

/// Run where ranks are bound in turn to the processors of two NUMA domains: those of a domain are neighbours, share
/// memory of their own beside the others' windows, and the node is one still.
func numaDomains(_ communicator: MPICommunicator) throws {
    let size = communicator.size, first = (size + 1) / 2
    try require(communicator.nodeGroups == [0 ..< size], "nodes \(communicator.nodes)")
    try require(communicator.domainGroups == [0 ..< first, first ..< size], "domains \(communicator.domains)")
    let vectors = try SharedVectors(count: 70_001, number: 2, among: communicator.domainGroups, communicator)
    try require(vectors.isShared == (size > 2), "the ranks of a domain do not share")
    let values = vectors.vectors[1].values
    for _ in 0 ..< 3 {
        vectors.change { _, range in for index in range { values[index] += Float(index % 5 + 1) } }
        try vectors.barrier()
        try vectors.requireUndisturbed(communicator, "the vectors")
        try communicator.requireEqual(vectors.fingerprint(communicator), "the fingerprints")
    }
    try require((0 ..< 70_001).allSatisfy { values[$0] == Float(3 * ($0 % 5 + 1)) }, "a part was not made once")
    // What one domain has is not the other's.
    try communicator.barrier()
    if communicator.rank == 0 { values[0] = -1 }
    try communicator.barrier()
    try require((values[0] == -1) == (communicator.rank < first), "the domains have one window")
}
