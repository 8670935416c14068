import CStart
import Glibc
import Kernels
import Support

/// What a rank needs before it begins, and that would otherwise be met as a hang or as the wrong job.
enum StartConditions {
    /// What MPI, OpenBLAS and the threads of a rank map before the first network: 450 MB were measured on two
    /// processors.
    private static let roomOfARank = 480 << 20

    /// OpenBLAS and Open MPI wait for ever where a limit of address space (ulimit -v, Grid Engine's h_vmem) leaves
    /// them no memory.
    static func checkMemory() throws {
        guard start_has_room(roomOfARank) == 0 else { return }
        throw Failure(
            .internalError,
            "\(hostName): the limit of \(start_memory_limit() >> 20) MB of address space leaves too "
                + "little memory to start: a rank needs about \(roomOfARank >> 20) MB beyond the program itself",
            remedy: "Allow each process at least 1500 MB (ulimit -v, or the batch system's limit, such as h_vmem).")
    }

    /// Open MPI crashes where its start gets no descriptor: three ranks were seen to start with 20, not with 16.
    private static let filesOfARank: rlim_t = 20

    /// Raises the limit of open files as far as this user may, where it is too low to start.
    static func checkOpenFiles() throws {
        let files = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        var limit = rlimit()
        guard getrlimit(files, &limit) == 0, limit.rlim_cur < filesOfARank else { return }
        limit.rlim_cur = min(limit.rlim_max, 1024)
        if limit.rlim_cur >= filesOfARank, setrlimit(files, &limit) == 0 { return }
        throw Failure(
            .internalError, "\(hostName): the limit of \(limit.rlim_max) open files is too low to start",
            remedy: "Allow each process at least 1024 (ulimit -n, or the batch system's limit).")
    }

    /// Refuses to be one of many that train alone, each as if it were the only one.
    static func checkLauncher(ranks: Int) throws {
        guard let launcher = Launcher(environment: Launcher.environment), launcher.processes > ranks else { return }
        throw AgreedFailure(
            Failure(
                .badConfiguration,
                "\(launcher.variable) says that \(launcher.processes) processes were started, "
                    + "but MPI (Open MPI) has only \(ranks): each would run the whole job by itself",
                remedy: "Start it with Open MPI's mpirun -n \(launcher.processes), or with srun --mpi=pmix "
                    + "(srun --mpi=list shows whether it is there); "
                    + "a job of one process takes env -u \(launcher.variable)."
            ))
    }
}

/// What a launcher other than Open MPI's mpirun says of the processes it started.
struct Launcher: Equatable {
    /// The variable that gives their number.
    let variable: String
    let processes: Int
    let rank: Int

    /// Variables of a step, never of an allocation: SLURM_NTASKS stands in every batch script. MPICH, Intel MPI, Cray
    /// and srun's own PMI; MVAPICH; IBM's jsrun; Slurm; MPICH's count on this host.
    private static let known = [
        ("PMI_SIZE", "PMI_RANK"), ("MV2_COMM_WORLD_SIZE", "MV2_COMM_WORLD_RANK"),
        ("JSM_NAMESPACE_SIZE", "JSM_NAMESPACE_RANK"), ("SLURM_STEP_NUM_TASKS", "SLURM_PROCID"),
        ("MPI_LOCALNRANKS", "MPI_LOCALRANKID"),
    ]

    /// Nil without such a launcher, and under Open MPI's own, which may itself run inside a step of Slurm's.
    init?(environment: [String: String]) {
        guard environment["OMPI_COMM_WORLD_SIZE"] == nil else { return nil }
        for (size, rank) in Launcher.known {
            guard let processes = environment[size].flatMap({ Int($0) }), processes > 1 else { continue }
            (variable, self.processes, self.rank) = (size, processes, environment[rank].flatMap { Int($0) } ?? 0)
            return
        }
        return nil
    }

    static var environment: [String: String] {
        let names = known.flatMap { [$0.0, $0.1] } + ["OMPI_COMM_WORLD_SIZE"]
        return Dictionary(
            uniqueKeysWithValues: names.compactMap { name in getenv(name).map { (name, String(cString: $0)) } })
    }

    static var isFirst: Bool { Launcher(environment: environment).map { $0.rank == 0 } ?? true }
}
