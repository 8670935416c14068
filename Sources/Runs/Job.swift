import CStart
import Collectives
import Foundation
import Kernels
import Storage
import Support

/// The life of one rank: its MPI session, and the one place where errors become messages and exit codes.
public enum Job {
    /// Runs `body` on this rank and ends the process. `body`'s value is the exit code where nothing was thrown.
    public static func run(_ body: (any Communicator) throws -> Int32) -> Never {
        signal(SIGPIPE, SIG_IGN)
        let session: MPISession
        do {
            try StartConditions.checkMemory()
            try StartConditions.checkOpenFiles()
            // Who waits for another leaves that one the time to say so.
            start_watch("starting MPI", 2)
            session = try MPISession()
            start_end_watch()
            try StartConditions.checkLauncher(ranks: session.world.size)
            BLAS.takeBuffer()
        } catch {
            let failure = Failure.of(error)
            // What ails all ranks is said once: the launcher ends the others meanwhile.
            if start_is_first() == 0 { sleep(5) }
            if !(error is AgreedFailure) || Launcher.isFirst { report(failure, rank: nil) }
            exit(failure.code.rawValue)
        }
        let communicator = session.world
        do {
            let code = try body(communicator)
            leave(session, communicator, code)
        } catch let agreed as AgreedFailure {
            if communicator.rank == 0 { report(agreed.failure, rank: nil) }
            leave(session, communicator, agreed.failure.code.rawValue)
        } catch {
            let failure = Failure.of(error)
            report(failure, rank: communicator.size > 1 ? communicator : nil)
            if communicator.size == 1 { leave(session, communicator, failure.code.rawValue) }
            // The others wait for this rank somewhere: only an abort ends them all (MPI 3.1 §8.7).
            communicator.abort(failure.code.rawValue)
        }
    }

    /// Rank 0 alone carries the code: a second rank with one would have mpirun end the others while they still leave.
    private static func leave(_ session: MPISession, _ communicator: any Communicator, _ code: Int32) -> Never {
        let rank = communicator.rank
        var code = code
        if rank == 0, let failure = StandardOutput.failure(), code == 0 {
            report(failure, rank: nil)
            code = failure.code.rawValue
        }
        do { try session.finish() } catch { report(Failure.of(error), rank: communicator) }
        exit(rank == 0 ? code : 0)
    }

    /// `gan-dist: error: …` and what to do, on standard error.
    public static func report(_ failure: Failure, rank: (any Communicator)?) {
        StandardError.report(failure, place: rank.map { "rank \($0.rank) on \($0.host): " } ?? "")
    }
}
