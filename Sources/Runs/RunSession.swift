import Collectives
import Foundation
import Kernels
import Recipes
import Storage
import Support

/// A job's hold on a run folder: what rank 0 decided is to be done there, the lock, and the watch for stalls. All
/// ranks have one, from before anything is opened until the last word of the run.
final class RunSession {
    let configuration: ModelConfiguration
    let folder: RunFolder
    /// Rank 0 alone.
    let plan: RunPlan?
    /// The path of the checkpoint that the run continues from.
    let checkpoint: String?
    /// Nil in a dry run.
    let watchdog: Watchdog?

    /// Collective.
    init(_ options: TrainOptions, _ communicator: any Communicator, _ console: Console) throws {
        var plan: RunPlan?
        let decision = try communicator.decidedByRoot {
            let made = try RunPlan(options, ranks: communicator.size, console: console)
            plan = made
            return Decision(
                configuration: made.configuration.yaml, source: made.configuration.source, folder: made.folder.path,
                checkpoint: made.checkpoint?.path)
        }
        self.plan = plan
        configuration = try ModelConfiguration(stored: decision.configuration, source: decision.source)
        folder = RunFolder(decision.folder)
        checkpoint = decision.checkpoint
        watchdog =
            options.dryRun
            ? nil
            : try Watchdog(
                communicator: communicator, folder: folder.heartbeats,
                limits: .init(warn: options.stallWarn, abort: options.stallAbort), output: Self.report)
    }

    /// What the other ranks are told of rank 0's plan.
    private struct Decision: Codable {
        let configuration: String
        let source: String
        let folder: String
        let checkpoint: String?
    }

    /// Says what the watchdog found, and ends this process where the job has to end; the launcher ends the others.
    private static let report: @Sendable (Watchdog.Finding) -> Void = { finding in
        switch finding {
        case .warning(let message): StandardError.warn(message)
        case .end(let message):
            if let message {
                StandardError.report(
                    Failure(
                        .internalError, "\(message); the job is ended",
                        remedy: "Look at that host, then run again with --resume auto."))
            }
            _exit(ExitCode.internalError.rawValue)
        }
    }

    /// Ends the watch and gives the folder free, however the run ended. Not collective.
    func end() {
        watchdog?.stop()
        guard let lock = plan?.lock else { return }
        // The other ranks may still be at their last heartbeats.
        for _ in 0 ..< 40 where FileManager.default.fileExists(atPath: folder.heartbeats) {
            if (try? FileManager.default.removeItem(atPath: folder.heartbeats)) != nil { break }
            Thread.sleep(forTimeInterval: 0.05)
        }
        lock.release()
    }
}
