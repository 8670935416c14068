import CStart
import Glibc

/// The wish of somebody outside that the run save and stop: SIGUSR1 (a batch system's warning; mpirun passes it on),
/// SIGUSR2, SIGTERM, SIGINT, SIGHUP unless it was ignored (nohup).
///
/// The handlers only note the signal; ranks look at step boundaries, and agree with
/// `communicator.any(StopRequest.isPending)`, for a signal may reach one rank alone, or different ranks at different
/// steps. TERM, INT and HUP end a process that has not begun to train, and at the second time one that does not come
/// to the end of its step.
public enum StopRequest {
    /// Call it first in the program, before MPI starts, so that a batch system's warning during the start is kept and
    /// not deadly. Open MPI leaves these signals alone.
    public static func install() { stop_install() }

    /// There is something to save from now on.
    public static func begin() { stop_begin() }

    /// The run comes to its end by itself: what is being saved is not to be interrupted.
    public static func finish() { stop_notice() }

    /// Whether this rank has received one of the signals. Who asks will save.
    public static var isPending: Bool {
        guard stop_received() != 0 else { return false }
        stop_notice()
        return true
    }
}
