import Collectives
import Glibc
import Runs

/// One rank gets a signal twice, after MPI has started (the handlers were installed before); all ranks agree to stop.
func signals(_ communicator: MPICommunicator) throws {
    try require(!communicator.any(StopRequest.isPending), "a stop was requested before anybody asked for it")
    if communicator.rank == communicator.size - 1 {
        kill(getpid(), SIGUSR1)
        kill(getpid(), SIGUSR1)
    }
    // A signal that a process sends itself is delivered before kill returns, if only one thread takes it; MPI's
    // threads may.
    while try !communicator.any(StopRequest.isPending) { usleep(1000) }
    try require(
        StopRequest.isPending == (communicator.rank == communicator.size - 1), "the signal reached another rank")
}
