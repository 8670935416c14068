import Collectives
import Foundation
import Storage
import Support

/// What a run does around its steps, whatever it trains: checkpoints, requests to stop, and the hold on its folder.
final class RunLifecycle {
    let folder: RunFolder
    let watchdog: Watchdog?
    private let options: TrainOptions
    private let communicator: any Communicator
    private let console: Console
    private let started = monotonicSeconds()
    /// Nil on ranks other than the first.
    private let lock: RunLock?
    private var writer: CheckpointWriter?
    /// The newest checkpoint that is known to be whole on the disk, on all ranks.
    private(set) var lastCheckpoint: String?

    init(_ options: TrainOptions, _ session: RunSession, _ communicator: any Communicator, _ console: Console) {
        (self.options, self.communicator, self.console) = (options, communicator, console)
        (folder, watchdog, lastCheckpoint) = (session.folder, session.watchdog, session.checkpoint)
        lock = session.plan?.lock
    }

    /// Seconds since the run began.
    var seconds: Double { monotonicSeconds() - started }

    // MARK: - Checkpoints

    /// Rank 0 writes checkpoints to this folder from now on.
    func open(_ checkpoints: CheckpointFolder) { writer = CheckpointWriter(checkpoints) }

    /// Whether this rank has the outcome of a checkpoint, for which nobody then waits.
    var hasWritten: Bool { writer?.isFinished ?? false }

    /// Rank 0 begins to write a checkpoint of a state that all ranks have; training may go on. Collective.
    func save(step: Int, isBest: Bool = false, _ contents: () -> CheckpointContents) throws {
        try settle(step: step)
        watchdog?.enter(.checkpoint, step: step)
        writer?.begin(contents(), isBest: isBest)
    }

    /// Waits for the checkpoint that is being written, if any; all ranks go on only if it is whole on the disk.
    /// Collective.
    func settle(step: Int) throws {
        watchdog?.enter(.checkpoint, step: step)
        let outcome = Result { try writer?.finish() ?? "" }
        watchdog?.enter(.exchange, step: step)
        let written = try communicator.decidedByRoot {
            do {
                return try outcome.get()
            } catch let error as Failure {
                throw Failure(error.code, "\(error.message) \(lastGood)", remedy: error.remedy)
            }
        }
        if !written.isEmpty { lastCheckpoint = written }
    }

    var lastGood: String {
        lastCheckpoint.map { "The last good checkpoint is \($0)" } ?? "No checkpoint had been written yet"
    }

    /// On the way out for another reason: what is being written shall be whole.
    func finishWriting() {
        do { if let written = try writer?.finish() { lastCheckpoint = written } } catch {
            console.warn("a checkpoint could not be written: \(error.message)")
        }
    }

    /// Runs what writes logs and pictures on rank 0: where that fails, the last good checkpoint is named.
    func writing(_ body: () throws -> Void) throws {
        do { try body() } catch let error as Failure where error.code == .inputOutput {
            finishWriting()
            throw Failure(.inputOutput, "\(error.message) \(lastGood)", remedy: error.remedy)
        }
    }

    // MARK: - The end

    /// This rank's vote to stop at the end of the step under way, of steps that take so many `seconds`.
    func wantsToStop(secondsOfStep: Double) -> Bool {
        if StopRequest.isPending { return true }
        guard communicator.rank == 0 else { return false }
        if FileManager.default.fileExists(atPath: folder.stopRequest) { return true }
        guard let walltime = options.walltime else { return false }
        // Time for the step at hand and one more, and for a checkpoint twice as slow as any so far.
        let reserve = 2 * secondsOfStep + max(2 * (writer?.slowest ?? 0), 1)
        return seconds + reserve > walltime
    }

    /// Says that the run stops after `step`, which has been saved; the exit code.
    func stopped(after step: Int) -> Int32 {
        if communicator.rank == 0 { try? FileManager.default.removeItem(atPath: folder.stopRequest) }
        console.say("stopped on request after step \(step); run again with --resume auto to continue")
        return ExitCode.stoppedOnRequest.rawValue
    }

    /// A job that was suspended for so long that another has taken the run over must not write into it.
    func refuseIfLost() throws {
        guard lock?.isLost == true else { return }
        throw Failure(
            .cannotCreate, "\(folder.path): another job has taken the run over while this one stood still",
            remedy: "Leave it to that job.")
    }
}
