import Collectives
import Foundation
import Glibc
import Recipes
import Support
import Testing
@testable import Runs

// Nested: it uses the process's one request to stop.
extension StartTests {
    /// When a run is measured, which checkpoint is kept as the best, and when a run ends early: with an evaluator whose
    /// figures are given.
    @Suite struct RunEvaluationTests {
        /// Has a figure for each step; at some it is interrupted.
        private final class GivenFigures: RunEvaluator {
            let best: (figure: String, isLowest: Bool)?
            let settings: UInt32
            private let run: MeasuredRun
            private let figures: [Int: Double]
            private let interrupted: Set<Int>
            var measured: [Int] = []

            init(
                _ run: MeasuredRun, _ figures: [Int: Double], isLowest: Bool, interrupted: Set<Int>, settings: UInt32
            ) {
                (self.run, self.figures, self.interrupted, self.settings) = (run, figures, interrupted, settings)
                best = run.configuration.output.evaluate?.best == nil ? nil : ("evaluation_figure", isLowest)
            }

            func prepare() throws {}

            func measure(isInterrupted: @escaping () -> Bool) throws -> [Figure] {
                let step = run.trainer.stepsDone
                if interrupted.contains(step) {
                    #expect(!isInterrupted())
                    _ = FileManager.default.createFile(atPath: run.folder.stopRequest, contents: nil)
                    #expect(isInterrupted())
                    throw AgreedFailure(Failure(.stoppedOnRequest, "interrupted", remedy: ""))
                }
                measured.append(step)
                return [("evaluation_figure", figures[step] ?? 100), ("evaluation_other", Double(step))]
            }
        }

        private final class TemporaryRun {
            let path = NSTemporaryDirectory() + "evaluation-" + UUID().uuidString
            var folder: RunFolder { RunFolder(path + "/run") }
            private(set) var measured: [Int] = []

            init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }
            deinit { try? FileManager.default.removeItem(atPath: path) }

            /// Trains on to `steps`; returns the exit code.
            func train(
                to steps: Int, _ figures: [Int: Double], patience: Int? = nil, isLowest: Bool = true,
                interrupted: Set<Int> = [], from: TrainOptions.Resume = .auto, checkpointEvery: Int = 5,
                settings: UInt32? = 1
            ) throws -> Int32 {
                let waits = patience.map(String.init) ?? "null"
                let yaml = """
                    name: measured
                    data: {synthetic: ring, count: 100}
                    latent: {size: 2}
                    generator: [dense: {units: 2}]
                    discriminator: [dense: {units: 1}]
                    training: {batch: 4, steps: \(steps)}
                    output:
                      {log_every: 3, sample_every: 100, checkpoint_every: \(checkpointEvery), keep: 1,
                       evaluate: \(settings == nil ? "null" : "{every: 2, best: figure, patience: \(waits)}")}
                    """
                let file = path + "/configuration.yaml"
                try yaml.write(toFile: file, atomically: true, encoding: .utf8)
                var options = TrainOptions()
                (options.configurationFile, options.runFolder) = (file, folder.path)
                (options.resume, options.quiet) = (from, true)
                StopRequest.install()
                defer { for signal in [SIGUSR1, SIGUSR2, SIGTERM, SIGINT, SIGHUP] { Glibc.signal(signal, SIG_DFL) } }
                var made: GivenFigures?
                defer { measured = made?.measured ?? [] }
                return try Run.train(options, SoloCommunicator()) { run in
                    let evaluator = GivenFigures(
                        run, figures, isLowest: isLowest, interrupted: interrupted, settings: settings ?? 0)
                    made = evaluator
                    return evaluator
                }
            }

            /// The figure by its step, and the steps that were logged.
            var figures: [Int: Double] {
                get throws {
                    Dictionary(
                        uniqueKeysWithValues: try lines.compactMap { line in
                            (line["evaluation_figure"] as? Double).map { (line["step"] as! Int, $0) }
                        })
                }
            }
            var logged: [Int] { get throws { try lines.compactMap { $0["step"] as? Int } } }
            private var lines: [[String: Any]] {
                get throws {
                    try String(contentsOfFile: folder.metrics, encoding: .utf8).split(separator: "\n").map {
                        try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
                    }
                }
            }
            var checkpoints: [String] {
                get throws { try FileManager.default.contentsOfDirectory(atPath: folder.checkpoints).sorted() }
            }
            func link(_ name: String) -> String? {
                try? FileManager.default.destinationOfSymbolicLink(atPath: folder.checkpoints + "/" + name)
            }
        }

        private static func name(_ step: Int) -> String { String(format: "step-%08d.h5", step) }

        @Test func theBestIsKeptBesideTheNewest() throws {
            let run = try TemporaryRun()
            #expect(try run.train(to: 11, [2: 5, 4: 3, 6: 4, 8: 3, 10: 9]) == 0)
            #expect(run.measured == [2, 4, 6, 8, 10, 11])
            #expect(try run.figures == [2: 5, 4: 3, 6: 4, 8: 3, 10: 9, 11: 100])
            // Every third step, every second that is measured, and the last.
            #expect(try run.logged == [2, 3, 4, 6, 8, 9, 10, 11])
            #expect(try run.checkpoints == ["best", "latest", Self.name(4), Self.name(11)])
            #expect(run.link("best") == Self.name(4) && run.link("latest") == Self.name(11))
            // The newest is taken, and the best stays.
            #expect(try run.train(to: 13, [12: 4]) == 0)
            #expect(run.measured == [12, 13] && run.link("best") == Self.name(4))
            #expect(try run.checkpoints == ["best", "latest", Self.name(4), Self.name(13)])
            #expect(try run.train(to: 14, [14: 2.5]) == 0)
            #expect(try run.checkpoints == ["best", "latest", Self.name(14)])
        }

        /// A job that measures nothing leaves what the one before has kept.
        @Test func theBestStaysWithoutEvaluations() throws {
            let run = try TemporaryRun()
            #expect(try run.train(to: 6, [2: 5, 4: 3, 6: 4]) == 0)
            #expect(try run.train(to: 12, [:], settings: nil) == 0)
            #expect(try run.checkpoints == ["best", "latest", Self.name(4), Self.name(12)])
            #expect(try run.train(to: 14, [14: 3.5]) == 0)
            #expect(run.link("best") == Self.name(4))
            #expect(try run.checkpoints == ["best", "latest", Self.name(4), Self.name(14)])
        }

        /// Figures of other settings are none to compare with; the checkpoint stays until there is one by these.
        @Test func theBestOfOtherSettingsIsNotCompared() throws {
            let run = try TemporaryRun()
            #expect(try run.train(to: 6, [2: 5, 4: 3, 6: 4]) == 0)
            #expect(try run.train(to: 7, [7: .nan], patience: 2, settings: 2) == 0)
            #expect(try run.checkpoints == ["best", "latest", Self.name(4), Self.name(7)])
            #expect(try run.train(to: 14, [8: 50, 10: 40, 12: 60, 14: 70], patience: 3, settings: 2) == 0)
            #expect(run.measured == [8, 10, 12, 14] && run.link("best") == Self.name(10))
            #expect(try run.checkpoints == ["best", "latest", Self.name(10), Self.name(14)])
            let log = try String(contentsOfFile: run.folder.log, encoding: .utf8)
            #expect(log.contains("the best is looked for anew") && log.contains("no better figure than 40"))
        }

        @Test func theBestMayBeTheHighest() throws {
            let run = try TemporaryRun()
            #expect(try run.train(to: 7, [2: 5, 4: 8, 6: .nan, 7: 8], isLowest: false) == 0)
            #expect(run.link("best") == Self.name(4))
            #expect(try run.figures == [2: 5, 4: 8, 7: 8])
        }

        @Test func aRunWithoutHopeEnds() throws {
            let run = try TemporaryRun(), figures = [2: 5.0, 4: 3, 6: 4, 8: 4, 10: 4, 12: 1]
            #expect(try run.train(to: 20, figures, patience: 5) == 0)
            #expect(run.measured == [2, 4, 6, 8, 10] && run.link("best") == Self.name(4))
            #expect(try run.checkpoints == ["best", "latest", Self.name(4), Self.name(10)])
            let log = try String(contentsOfFile: run.folder.log, encoding: .utf8)
            #expect(log.contains("ends early: no better figure than 3 of step 4 in 6 steps"))
            // Asked again it has nothing to do; with more patience it goes on.
            #expect(try run.train(to: 20, figures, patience: 5) == 0)
            #expect(run.measured.isEmpty)
            #expect(try run.train(to: 12, figures, patience: 7) == 0)
            #expect(run.measured == [12] && run.link("best") == Self.name(12))
        }

        @Test func norDoesOneGoOnWhoseFigureIsNeverANumber() throws {
            let run = try TemporaryRun()
            let figures = Dictionary(uniqueKeysWithValues: (1 ... 20).map { ($0, Double.nan) })
            #expect(try run.train(to: 5, figures, patience: 5) == 0)
            #expect(try run.train(to: 20, figures, patience: 5) == 0)
            #expect(run.measured == [6, 8] && run.link("best") == nil)
            let log = try String(contentsOfFile: run.folder.log, encoding: .utf8)
            #expect(log.contains("ends early: no figure that is a number in 6 steps"))
            // Measured otherwise it is waited for anew.
            #expect(try run.train(to: 10, [10: 1], patience: 5, settings: 2) == 0)
            #expect(run.measured == [10] && run.link("best") == Self.name(10))
        }

        /// The job that goes on measures what was left, under the step's own line.
        @Test(arguments: [4, 8]) func aStopLeavesAnEvaluationToTheNextJob(step: Int) throws {
            let run = try TemporaryRun(), figures = [2: 5.0, 4: 3, 6: 4, 8: 2]
            #expect(try run.train(to: 8, figures, interrupted: [step]) == 75)
            #expect(try run.figures[step] == nil)
            #expect(run.link("latest") == Self.name(step))
            #expect(try run.train(to: 8, figures) == 0)
            #expect(run.measured == Array(stride(from: step, through: 8, by: 2)))
            #expect(try run.figures == figures && run.link("best") == Self.name(8))
            #expect(try run.logged == [2, 3, 4, 6, 8])
            #expect(!FileManager.default.fileExists(atPath: run.folder.stopRequest))
        }

        /// Interrupted again, it leaves again, and nothing is lost.
        @Test func itMayBeLeftTwice() throws {
            let run = try TemporaryRun(), figures = [2: 5.0, 4: 3, 6: 4]
            for _ in 0 ..< 2 { #expect(try run.train(to: 6, figures, interrupted: [4]) == 75) }
            #expect(try run.train(to: 6, figures) == 0)
            #expect(try run.figures == figures && run.link("best") == Self.name(4))
        }

        /// What was found after the step that the run goes on from is found again.
        @Test func anEarlierStepForgetsWhatCameLater() throws {
            let run = try TemporaryRun()
            #expect(try run.train(to: 6, [2: 5, 4: 3, 6: 1]) == 0)
            let copy = run.path + "/" + Self.name(6)
            try FileManager.default.copyItem(atPath: run.folder.checkpoints + "/" + Self.name(6), toPath: copy)
            #expect(try run.train(to: 8, [8: 0.5]) == 0)
            #expect(run.link("best") == Self.name(8))
            #expect(try run.train(to: 10, [8: 7, 10: 6], from: .file(copy)) == 0)
            #expect(run.measured == [8, 10])
            #expect(try run.figures == [2: 5, 4: 3, 6: 1, 8: 7, 10: 6])
        }

        /// A new folder has no log: the state that it begins with is measured.
        @Test func aNewFolderBeginsWithAnEvaluation() throws {
            let run = try TemporaryRun(), other = try TemporaryRun()
            #expect(try run.train(to: 4, [2: 5, 4: 3]) == 0)
            let file = run.folder.checkpoints + "/" + Self.name(4)
            #expect(try other.train(to: 6, [4: 3, 6: 9], from: .file(file)) == 0)
            #expect(other.measured == [4, 6] && other.link("best") == Self.name(4))
            #expect(try other.logged == [4, 6])
            #expect(try other.checkpoints == ["best", "latest", Self.name(4), Self.name(6)])
        }
    }
}
