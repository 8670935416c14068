import Collectives

/// The last rank throws while the others wait for it: all must end, with the code of the rank that threw.
func oneThrows(_ communicator: MPICommunicator) throws {
    _ = try communicator.sharedMemory(count: 1000, group: 0 ..< communicator.size)
    if communicator.rank == communicator.size - 1 { throw Failed(description: "broken on purpose") }
    try communicator.barrier()
    try communicator.barrier()
}
