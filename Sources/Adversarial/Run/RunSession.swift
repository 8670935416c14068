import Collectives
import Foundation
import Kernels
import Storage

/// A job's hold on a run folder: what rank 0 decided is to be done there, the lock, and the watch for stalls. All
/// ranks have one, from before anything is opened until the last word of the run.
final class RunSession {
    let configuration: Configuration
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
            plan = try RunPlan(options, ranks: communicator.size, console: console)
            return [
                plan!.configuration.yaml, plan!.folder.path, plan!.checkpoint?.path ?? "", plan!.configuration.source,
            ].joined(separator: "\u{1F}")
        }
        let parts = decision.components(separatedBy: "\u{1F}")
        self.plan = plan
        configuration = try Configuration(stored: parts[0], source: parts[3])
        folder = RunFolder(parts[1])
        checkpoint = parts[2].isEmpty ? nil : parts[2]
        watchdog =
            options.dryRun
            ? nil
            : Watchdog(
                communicator: communicator, folder: folder.heartbeats,
                limits: .init(warn: options.stallWarn, abort: options.stallAbort))
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
