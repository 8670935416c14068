@testable import Runs
import Glibc
import Testing

@Suite(.serialized) struct StartTests {
    @Test func signalsAreKept() {
        signal(SIGHUP, SIG_IGN)
        StopRequest.install()
        StopRequest.begin()
        #expect(!StopRequest.isPending)
        // Ignored before, and so still.
        kill(getpid(), SIGHUP)
        usleep(50_000)
        #expect(!StopRequest.isPending)
        // To the process, not the thread: the threads of tests block signals.
        kill(getpid(), SIGINT)
        for _ in 0 ..< 1000 where !StopRequest.isPending { usleep(10_000) }
        #expect(StopRequest.isPending)
        for signal in [SIGUSR1, SIGUSR2, SIGTERM, SIGINT, SIGHUP] { Glibc.signal(signal, SIG_DFL) }
    }

    @Test func launchersThatAreNotOpenMPIs() {
        func of(_ environment: [String: String]) -> Launcher? { Launcher(environment: environment) }
        #expect(of([:]) == nil)
        // MPICH's and Intel's mpiexec, srun with another MPI's plugin.
        #expect(of(["PMI_SIZE": "4", "PMI_RANK": "3", "MPI_LOCALNRANKS": "4", "MPI_LOCALRANKID": "3"])?.processes == 4)
        #expect(of(["SLURM_STEP_NUM_TASKS": "8", "SLURM_PROCID": "2", "SLURM_NTASKS": "8"])?.rank == 2)
        #expect(of(["PMI_SIZE": "4"])?.rank == 0)
        // A batch script, one process of a step, and Open MPI's launcher inside a step.
        #expect(of(["SLURM_NTASKS": "8", "SLURM_PROCID": "0"]) == nil)
        #expect(of(["SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0"]) == nil)
        #expect(of(["SLURM_STEP_NUM_TASKS": "8", "SLURM_PROCID": "0", "OMPI_COMM_WORLD_SIZE": "1"]) == nil)
    }
}
