import CLinux
import Glibc
import Synchronization

/// The wish of somebody outside that the run save and stop: SIGUSR1 (a batch system's warning; mpirun passes it on), SIGUSR2, SIGTERM, SIGINT.
///
/// The handlers only note the signal; ranks look at step boundaries, and agree with `communicator.any(StopRequest.isPending)`, for a
/// signal may reach one rank alone, or different ranks at different steps. A second signal changes nothing.
public enum StopRequest {
    private static let received = Atomic<Int32>(0)

    /// Call it first in the program, before MPI starts, so that a signal during the start is kept and not deadly. Open MPI leaves
    /// these four signals alone.
    public static func install() {
        received.store(0, ordering: .relaxed)
        for signal in [SIGUSR1, SIGUSR2, SIGTERM, SIGINT] {
            let code = linux_handle_signal(signal) { StopRequest.received.store($0, ordering: .relaxed) }
            precondition(code == 0, "no handler for signal \(signal): \(String(cString: strerror(code)))")
        }
    }

    /// Whether this rank has received one of the signals.
    public static var isPending: Bool { received.load(ordering: .relaxed) != 0 }

    /// The last signal received, by name; nil if none was.
    public static var signalName: String? {
        switch received.load(ordering: .relaxed) {
        case 0: nil
        case SIGUSR1: "SIGUSR1"
        case SIGUSR2: "SIGUSR2"
        case SIGTERM: "SIGTERM"
        default: "SIGINT"
        }
    }
}
