import Collectives

/// Run where /dev/shm has no room: the sum warns, works by messages, and has the same bits.
func noSharedMemory(_ communicator: MPICommunicator) throws {
    let count = 1_000_000
    let table = try ShardTable(shards: communicator.size, communicator: communicator)
    let sum = try GradientSum(count: count, table: table, communicator: communicator)
    try require(sum.warning != nil, "a full /dev/shm went unnoticed")
    sum.beginShard()
    sum.slot.fill(Float(communicator.rank + 1))
    sum.endShard()
    let total = try sum.finish()
    try require(
        total[0] == Float(communicator.size * (communicator.size + 1) / 2) && total[count - 1] == total[0],
        "a wrong sum")
}
