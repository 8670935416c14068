import CLinux
import CMPI
import Glibc
import Kernels
import Support

/// A call of MPI failed.
public struct MPIError: Error, CustomStringConvertible {
    /// The function, as the standard spells it.
    public let call: String
    public let code: Int32
    /// What the library says of the code.
    public let text: String
    /// What the program was doing.
    public let activity: String

    public var description: String { "\(call) failed while \(activity): \(text) (code \(code))" }
}

/// The gate of the MPI library: throws what `code`, returned by `call`, means.
func mpi(_ call: String, _ code: Int32, _ activity: @autoclosure () -> String) throws {
    if code == MPI_SUCCESS { return }
    var buffer = [CChar](repeating: 0, count: Int(MPI_MAX_ERROR_STRING))
    var length: Int32 = 0
    let known = MPI_Error_string(code, &buffer, &length) == MPI_SUCCESS
    let bytes = buffer.prefix(Int(length)).map { UInt8(bitPattern: $0) }
    throw MPIError(
        call: call, code: code, text: known ? String(decoding: bytes, as: UTF8.self) : "unknown error",
        activity: activity())
}

/// MPI from its start to its end: one a process. With mpirun or srun it joins the job, without them it is a job of
/// one rank.
///
/// Call ``finish()`` when all ranks have come to the end. A process that leaves without it (an error was thrown)
/// makes the launcher end the other ranks, which is wanted: MPI_Finalize is collective, and a failing rank that
/// called it would wait for ranks that wait for it. So nothing is finalised in a `deinit`.
public final class MPISession {
    public let world: MPICommunicator

    /// MPI_Init_thread. With MPI_THREAD_MULTIPLE, if the library has it, a ``Channel`` may be another thread's; all
    /// else is the calling thread's alone, for which MPI_THREAD_FUNNELED is enough.
    ///
    /// All ranks compute with the lowest instruction set among theirs from then on: call it before the first product,
    /// and before a network is built, for parameters lie in memory as the kernels of the set want them. Collective.
    public init() throws {
        MPISession.yieldWhereRanksOutnumberProcessors()
        MPISession.useNoNetworkWithinANode()
        if MPISession.hasLauncher { try MPISession.endWithLauncher() } else { MPISession.startAlone() }
        var provided: Int32 = 0
        try mpi("MPI_Init_thread", MPI_Init_thread(nil, nil, Int32(MPI_THREAD_MULTIPLE), &provided), "starting MPI")
        guard provided >= Int32(MPI_THREAD_FUNNELED) else {
            throw MPIError(
                call: "MPI_Init_thread", code: provided, text: "the library does not support MPI_THREAD_FUNNELED",
                activity: "starting MPI")
        }
        try mpi("MPI_Comm_set_errhandler", MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN), "starting MPI")
        world = try MPICommunicator(MPI_COMM_WORLD, allowsThreads: provided >= Int32(MPI_THREAD_MULTIPLE))
        try InstructionSet.agree(world)
    }

    /// MPI_Finalize. Collective. No communicator may be used after it.
    public func finish() throws {
        try world.freeAll()
        try mpi("MPI_Finalize", MPI_Finalize(), "ending MPI")
    }

    /// Whether mpirun or srun started this process.
    public static var hasLauncher: Bool {
        ["OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK"].contains { (name: String) in getenv(name) != nil }
    }

    /// Asks the kernel to end this process when its launcher ends, however that ends (kill -9 included).
    private static func endWithLauncher() throws {
        let parent = getppid()
        let code = linux_signal_on_parent_death(SIGKILL)
        // The launcher may have ended before the request: then this process has been given another parent.
        if code == 0, getppid() != parent {
            throw Failure(.internalError, "the launcher ended while this rank started", remedy: "Start the job again.")
        }
    }

    /// A rank without a launcher would start Open MPI's daemon for itself, in case it wants to start others: the
    /// daemon has to be installed then, costs a tenth of a second, and is left behind where the rank is killed in its
    /// start. Nor does it need a folder for files shared with others, which a killed rank would leave too.
    private static func startAlone() {
        setenv("OMPI_MCA_ess_singleton_isolated", "1", 0)
        setenv("OMPI_MCA_orte_create_session_dirs", "0", 0)
    }

    /// Where all ranks are on one node they need no network's library. Open MPI would load all that are installed to
    /// ask which of them has hardware here, of which one alone measures the processor's clock for a sixth of a
    /// second.
    private static func useNoNetworkWithinANode() {
        let ranks = getenv("OMPI_COMM_WORLD_SIZE").map { String(cString: $0) },
            here = getenv("OMPI_COMM_WORLD_LOCAL_SIZE").map { String(cString: $0) }
        if !hasLauncher || (ranks != nil && ranks == here) { setenv("OMPI_MCA_pml", "ob1", 0) }
    }

    /// With more ranks than processors a rank that waits inside MPI must give its processor away. Open MPI does so
    /// only if it knows of the lack, which it does not where a scheduler promises more processors than there are. A
    /// rank that mpirun has bound knows its own processor alone: then all of the node count.
    private static func yieldWhereRanksOutnumberProcessors() {
        guard let text = getenv("OMPI_COMM_WORLD_LOCAL_SIZE"), let ranks = Int(String(cString: text)) else { return }
        let processors =
            getenv("OMPI_MCA_orte_bound_at_launch") == nil
            ? availableProcessors().reduce(0) { $0 + $1.nonzeroBitCount } : sysconf(Int32(_SC_NPROCESSORS_ONLN))
        if ranks > processors { setenv("OMPI_MCA_mpi_yield_when_idle", "1", 0) }
    }
}

/// The processors this process may run on, one bit each; a set of 8192 processors, the most that Linux knows.
public func availableProcessors() -> [UInt64] {
    var set = [UInt64](repeating: 0, count: 128)
    if linux_processors(&set, 1024) != 0 { set[0] = 1 }
    return set
}
