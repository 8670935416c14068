import CStart
import Collectives
import Foundation
import Kernels
import Storage

/// A failure that every rank has agreed on: all leave in order, and rank 0 alone says why.
public struct AgreedFailure: Error {
    public let failure: Failure

    public init(failure: Failure) { self.failure = failure }
}

/// The life of one rank: its MPI session, and the one place where errors become messages and exit codes.
public enum Job {
    /// Runs `body` on this rank and ends the process. `body`'s value is the exit code where nothing was thrown.
    public static func run(_ body: (any Communicator) throws -> Int32) -> Never {
        BLAS.useOneThread()
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
        } catch let disagreement as Disagreement {
            // Every rank has the same one.
            if communicator.rank == 0 { report(Failure.of(disagreement), rank: nil) }
            leave(session, communicator, ExitCode.internalError.rawValue)
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
        let place = rank.map { "rank \($0.rank) on \($0.host): " } ?? ""
        var text = "gan-dist: error: \(place)\(failure.message)\n"
        if !failure.remedy.isEmpty { text += "gan-dist: \(failure.remedy)\n" }
        // Foundation's way of writing ends in a trap where standard error is full or closed; the code says it, too.
        _ = text.withCString { write(STDERR_FILENO, $0, strlen($0)) }
    }
}

extension Failure {
    /// Any error of the modules below as a failure with an exit code.
    public static func of(_ error: any Error) -> Failure {
        switch error {
        case let failure as Failure: failure
        case let agreed as AgreedFailure: agreed.failure
        case let storage as StorageError:
            Failure(ExitCode(rawValue: storage.exitCode) ?? .internalError, storage.message, remedy: storage.remedy)
        case let shards as ShardError:
            Failure(.badConfiguration, "configuration: \(shards)", remedy: "")
        case let disagreement as Disagreement:
            Failure(
                .internalError, "\(disagreement)",
                remedy:
                    "Check that every node has the same program, configuration and dataset; a rank that drifts in "
                    + "training has faulty hardware or memory."
            )
        default: Failure(.internalError, "\(error)", remedy: "")
        }
    }
}

extension Communicator {
    /// Runs `body` on every rank and goes on only if it succeeded on all; else every rank throws the failure of the
    /// lowest rank that has one, which is named unless all have the same or `namingRank` is false.
    public func agreed<Value>(namingRank: Bool = true, _ body: () throws -> Value) throws -> Value {
        let outcome = Result { try body() }
        var mine = ""
        if case .failure(let error) = outcome {
            let failure = Failure.of(error)
            mine = [String(failure.code.rawValue), failure.message, failure.remedy].joined(separator: "\u{1F}")
        }
        let all = try gather(mine)
        guard let rank = all.firstIndex(where: { !$0.isEmpty }) else { return try outcome.get() }
        let parts = all[rank].components(separatedBy: "\u{1F}")
        let place = !namingRank || all.allSatisfy { $0 == all[rank] } ? "" : "rank \(rank): "
        throw AgreedFailure(
            failure: Failure(
                ExitCode(rawValue: Int32(parts[0]) ?? 70) ?? .internalError, place + parts[1], remedy: parts[2]))
    }

    /// Runs `body` on rank 0 and gives its text to all; if it fails, all fail.
    public func decidedByRoot(_ body: () throws -> String) throws -> String {
        try broadcast(try agreed(namingRank: false) { rank == 0 ? try body() : "" })
    }
}
