import Collectives
import Kernels

/// Values that all ranks would read alike, held once by the ranks of each node.
struct NodeCopy {
    /// Nil where every rank is to have its own: where it is alone on its node, and where there is no room.
    let values: FloatBuffer?
    /// Of what there was no room for; else nil.
    let sentence: String?

    private init(values: FloatBuffer?, sentence: String?) { (self.values, self.sentence) = (values, sentence) }

    /// `fill` writes `bytes` bytes on one rank of each node; it may throw. `leaving`: bytes of the node's shared memory
    /// that something else wants more. Where the ranks' numbers of bytes differ, which is an error that is found later,
    /// they share nothing. Collective.
    init(
        of name: String, bytes: Int, leaving others: Int = 0, _ communicator: any Communicator,
        fill: (Floats) throws -> Void
    ) throws {
        let sizes = try communicator.gather(bytes)
        guard communicator.nodeGroups.contains(where: { $0.count > 1 }), bytes > 0,
            sizes.allSatisfy({ $0 == bytes })
        else {
            self.init(values: nil, sentence: nil)
            return
        }
        let group = communicator.nodeGroup, room = SharedMemoryRoom()
        let isRoom = try !communicator.any(!room.holds(bytes + others))
        guard isRoom, let memory = try communicator.sharedMemory(count: (bytes + 3) / 4, group: group) else {
            let reason = isRoom ? "the MPI library has no shared memory" : "\(room.bound) has no room"
            self.init(
                values: nil,
                sentence: "\(reason) for one copy of the \(name) a node (\(bytes >> 20) MiB): every rank holds its "
                    + "own, which takes more memory and gives the same result")
            return
        }
        try communicator.agreed(namingRank: communicator.nodeGroups.count > 1) {
            if communicator.rank == group.lowerBound { try fill(memory.values) }
        }
        try memory.barrier()
        self.init(values: FloatBuffer(memory.values, of: memory), sentence: nil)
    }
}
