import Collectives
import Glibc
import Runs

// Rank programs: `mpirun -n N mpi-tests NAME`. Each throws on the rank that sees a failure, and the job ends with 70.
// Tests/mpi/run runs them all.

/// A test's condition that did not hold.
struct Failed: Error, CustomStringConvertible {
    let description: String
}

func require(_ condition: Bool, _ description: @autoclosure () -> String) throws {
    if !condition { throw Failed(description: description()) }
}

typealias RankProgram = (MPICommunicator) throws -> Void
let programs: [String: RankProgram] = [
    "agreement": agreement,
    "collectives": collectives,
    "endless": endless,
    "node-memory": nodeMemory,
    "no-shared-memory": noSharedMemory,
    "numa-domains": numaDomains,
    "one-throws": oneThrows,
    "ordered-sum": orderedSum,
    "signals": signals,
    "stall": stall,
]

guard CommandLine.arguments.count >= 2, let program = programs[CommandLine.arguments[1]] else {
    print("usage: mpi-tests NAME, one of \(programs.keys.sorted().joined(separator: " "))")
    exit(64)
}
StopRequest.install()
let session = try MPISession()
do {
    try program(session.world)
    try session.finish()
} catch {
    var line = Array("mpi-tests: rank \(session.world.rank): \(error)\n".utf8)
    _ = write(STDERR_FILENO, &line, line.count)
    session.world.abort(70)
}
