import Collectives
import Foundation
import Glibc
import Recipes
import Support
import Testing
@testable import Runs

// Nested: both use the process's one request to stop, and suites run side by side unless one holds the other.
extension StartTests {
    /// At which steps a run logs, draws samples and keeps checkpoints, by the files that it leaves.
    @Suite struct RunScheduleTests {
        private static let batch = 4, discriminatorSteps = 2, examples = 100

        private static func configuration(_ steps: Int, log: Int, sample: Int, checkpoint: Int, keep: Int) -> String {
            """
            name: schedule
            data: {synthetic: ring, count: \(examples)}
            latent: {size: 2}
            generator: [dense: {units: 2}]
            discriminator: [dense: {units: 1}]
            training: {batch: \(batch), discriminator_steps: \(discriminatorSteps), steps: \(steps)}
            output: {log_every: \(log), sample_every: \(sample), checkpoint_every: \(checkpoint), keep: \(keep)}
            """
        }

        /// A folder that is removed with it, and a run in it.
        private final class TemporaryRun {
            let path = NSTemporaryDirectory() + "schedule-" + UUID().uuidString
            var folder: RunFolder { RunFolder(path + "/run") }

            init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }
            deinit { try? FileManager.default.removeItem(atPath: path) }

            func train(_ yaml: String, resume: TrainOptions.Resume = .no) throws {
                let file = path + "/configuration.yaml"
                try yaml.write(toFile: file, atomically: true, encoding: .utf8)
                var options = TrainOptions()
                (options.configurationFile, options.runFolder) = (file, folder.path)
                (options.resume, options.quiet) = (resume, true)
                StopRequest.install()
                defer { for signal in [SIGUSR1, SIGUSR2, SIGTERM, SIGINT, SIGHUP] { Glibc.signal(signal, SIG_DFL) } }
                #expect(try Run.train(options, SoloCommunicator()) == 0)
            }

            var lines: [[String: Any]] {
                get throws {
                    try String(contentsOfFile: folder.metrics, encoding: .utf8).split(separator: "\n").map {
                        try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
                    }
                }
            }

            /// `latest` is a link to one of them.
            var checkpoints: [Int] {
                get throws {
                    try FileManager.default.contentsOfDirectory(atPath: folder.checkpoints).compactMap {
                        $0.hasPrefix("step-") && $0.hasSuffix(".h5") ? Int($0.dropFirst(5).dropLast(3)) : nil
                    }.sorted()
                }
            }
        }

        struct Case: Sendable {
            let steps, log, sample, checkpoint, keep: Int
            let logged, sampled, kept: [Int]
        }

        /// Every so many steps, and at the last one.
        static let cases = [
            Case(
                steps: 7, log: 3, sample: 2, checkpoint: 4, keep: 9,
                logged: [3, 6, 7], sampled: [2, 4, 6, 7], kept: [4, 7]),
            Case(steps: 6, log: 2, sample: 3, checkpoint: 3, keep: 1, logged: [2, 4, 6], sampled: [3, 6], kept: [6]),
            Case(
                steps: 4, log: 1, sample: 1, checkpoint: 1, keep: 2,
                logged: [1, 2, 3, 4], sampled: [1, 2, 3, 4], kept: [3, 4]),
            Case(steps: 5, log: 9, sample: 8, checkpoint: 6, keep: 3, logged: [5], sampled: [5], kept: [5]),
        ]

        @Test(arguments: cases) func filesAreOfTheStepsAskedFor(_ trial: Case) throws {
            let run = try TemporaryRun()
            try run.train(
                Self.configuration(
                    trial.steps, log: trial.log, sample: trial.sample, checkpoint: trial.checkpoint, keep: trial.keep))
            try expect(run, logged: trial.logged, sampled: trial.sampled, kept: trial.kept)
        }

        /// A run that goes on leaves what one of that length leaves, with what the end of the first part added: its
        /// last step, and its checkpoint to go on from.
        @Test func aRunThatGoesOnCountsFromTheStart() throws {
            let run = try TemporaryRun()
            try run.train(Self.configuration(5, log: 2, sample: 3, checkpoint: 4, keep: 9))
            try expect(run, logged: [2, 4, 5], sampled: [3, 5], kept: [4, 5])
            try run.train(Self.configuration(9, log: 2, sample: 3, checkpoint: 4, keep: 9), resume: .auto)
            try expect(run, logged: [2, 4, 5, 6, 8, 9], sampled: [3, 5, 6, 9], kept: [4, 5, 8, 9])
            // From an earlier checkpoint the lines after it are written anew, and none stands twice.
            let fourth = run.folder.checkpoints + "/step-00000004.h5"
            try run.train(Self.configuration(7, log: 2, sample: 3, checkpoint: 4, keep: 9), resume: .file(fourth))
            #expect(try run.lines.map { $0["step"] as? Int } == [2, 4, 6, 7])
        }

        private func expect(_ run: TemporaryRun, logged: [Int], sampled: [Int], kept: [Int]) throws {
            let lines = try run.lines
            #expect(lines.map { $0["step"] as? Int } == logged)
            #expect(run.folder.sampleSteps == sampled)
            #expect(try run.checkpoints == kept)
            for (line, step) in zip(lines, logged) {
                let seen = step * Self.discriminatorSteps * Self.batch
                #expect(line["samples_seen"] as? Int == seen)
                #expect(line["epoch"] as? Double == Double(seen) / Double(Self.examples))
            }
        }

        /// What a job is to do in a folder, by what it finds there and what it is asked for.
        @Test func aPlanFollowsFromTheFolderAndTheOptions() throws {
            func plan(_ run: TemporaryRun, _ resume: TrainOptions.Resume, _ settings: [String] = []) throws -> RunPlan {
                var options = TrainOptions()
                (options.runFolder, options.resume, options.dryRun) = (run.folder.path, resume, true)
                options.settings = try settings.map(Setting.init)
                return try RunPlan(options, ranks: 3, console: Console(speaks: false))
            }
            func refusal(_ run: TemporaryRun, _ resume: TrainOptions.Resume, _ settings: [String] = []) -> ExitCode? {
                do {
                    _ = try plan(run, resume, settings)
                    return nil
                } catch { return Failure.of(error).code }
            }
            let empty = try TemporaryRun(), held = try TemporaryRun()
            try held.train(Self.configuration(2, log: 1, sample: 1, checkpoint: 1, keep: 9))
            let first = held.folder.checkpoints + "/step-00000001.h5"

            // A new run: as many shards as ranks, settled for good.
            for resume in [TrainOptions.Resume.no, .auto] {
                let fresh = try plan(empty, resume, ["training.steps=3"])
                let game = try #require(fresh.configuration.game)
                #expect(fresh.checkpoint == nil && game.name == "ring")
                #expect(game.training.steps == 3 && game.exchange.shards == 3)
            }
            // One that goes on: the newest checkpoint or the one named, its configuration, and its one shard.
            for (resume, step) in [(TrainOptions.Resume.auto, 2), (.file(first), 1)] {
                let next = try plan(held, resume, ["training.steps=8", "output.log_every=5"])
                #expect(next.checkpoint?.path.hasSuffix("step-0000000\(step).h5") == true)
                let game = try #require(next.configuration.game)
                #expect(game.name == "schedule" && game.exchange.shards == 1)
                #expect(game.training.steps == 8 && game.output.logEvery == 5)
                #expect(game.training.batch == Self.batch)
                #expect(refusal(held, resume, ["training.batch=8"]) == .badConfiguration)
                #expect(refusal(held, resume, ["seed=8"]) == .badConfiguration)
            }
            #expect(refusal(empty, .no, ["training.batch=2"]) == .badConfiguration)
        }
    }
}
