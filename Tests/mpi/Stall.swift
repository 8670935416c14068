import Collectives
import Glibc
import Support

/// Rank 1 stops working in step 7 while the others wait inside MPI: it is named after 3 s, the job ends with 70 after
/// 5.
func stall(_ communicator: MPICommunicator) throws {
    let watchdog = try Watchdog(
        communicator: communicator, folder: String(cString: getenv("HEARTBEATS")), limits: .init(warn: 3, abort: 5)
    ) { finding in
        switch finding {
        case .warning(let message): StandardError.warn(message)
        case .end(let message):
            if let message { StandardError.write("mpi-tests: \(message)\n") }
            _exit(70)
        }
    }
    for step in 0 ..< 8 {
        watchdog.enter(.generator, step: step)
        if step == 7, communicator.rank == 1 { while true { sleep(100) } }
        watchdog.enter(.exchange, step: step)
        try communicator.barrier()
    }
    watchdog.stop()
}

/// All ranks meet until the test kills one of them, or the launcher; rank 0 says when they do.
func endless(_ communicator: MPICommunicator) throws {
    let memory = try communicator.sharedMemory(count: 1000, group: 0 ..< communicator.size)!
    if communicator.rank == 0 { _ = write(STDOUT_FILENO, "running\n", 8) }
    while true { try memory.barrier() }
}
