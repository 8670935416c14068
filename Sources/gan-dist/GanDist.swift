import Adversarial
import ArgumentParser
import Foundation
import Kernels
import Runs
import Storage
import Support

@main
struct GanDist: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gan-dist",
        abstract: "Trains generative adversarial networks on many MPI ranks.",
        discussion: """
            Exit codes: 0 done, 64 usage, 65 bad data, 66 missing file, 70 internal, 73 cannot create, 74 input/output,
            75 stopped with a checkpoint, 78 bad configuration, 80 diverged.
            Environment: GAN_DIST_START_LIMIT, seconds that the libraries and MPI have to start; 60 on one node, else \
            300. GAN_DIST_INSTRUCTIONS, plain, avx2 or avx512: vector instructions to use in place of the best that \
            the processor has; the ranks of a job use the lowest among theirs.

            Example:
              mpirun -n 8 gan-dist train          trains the built-in ring of 8 Gaussians
            """,
        version: Program.version,
        subcommands: [
            Train.self, Presets.self, Keys.self, DataCommand.self, Sample.self, Interpolate.self, Evaluate.self,
            Nearest.self, Reconstruct.self, Objectives.self,
            ClassifierCommand.self, ReportCommand.self, Export.self, CheckpointCommand.self, Bench.self,
        ])

    /// Parses and runs; of the ranks of a job only the first says what is wrong with the command line.
    static func main() {
        Policies.install()
        InstructionSet.flushSubnormals()
        let isFirst =
            (ProcessInfo.processInfo.environment["OMPI_COMM_WORLD_RANK"] ?? ProcessInfo.processInfo.environment[
                "PMIX_RANK"] ?? "0") == "0"
        do { try refuseInstructions() } catch {
            // It may be this host's alone. Where the first rank has the same it speaks, and ends the others meanwhile.
            if !isFirst { Thread.sleep(forTimeInterval: 3) }
            StandardError.report(Failure.of(error))
            Foundation.exit(Failure.of(error).code.rawValue)
        }
        do {
            try refuseEmpty(CommandLine.arguments.dropFirst())
            var command = try parseAsRoot(joiningNegativeNumbers(CommandLine.arguments.dropFirst()))
            try command.run()
            if let failure = StandardOutput.failure() { throw failure }
        } catch let code as ArgumentParser.ExitCode {
            guard let failure = StandardOutput.failure() else { Foundation.exit(code.rawValue) }
            StandardError.report(failure)
            Foundation.exit(failure.code.rawValue)
        } catch  where !isArgumentParsers(error) {
            let failure = Failure.of(error)
            if failure.code == .usage, !isFirst { Foundation.exit(0) }
            StandardError.report(failure)
            Foundation.exit(failure.code.rawValue)
        } catch {
            if !isFirst { Foundation.exit(0) }
            if exitCode(for: error) != .success {
                StandardError.write(explained(fullMessage(for: error)) + "\n")
                Foundation.exit(exitCode(for: error).rawValue)
            }
            print(exampleLast(fullMessage(for: error), unwrapped: fullMessage(for: error, columns: 1000)))
            if let failure = StandardOutput.failure() {
                StandardError.report(failure)
                Foundation.exit(failure.code.rawValue)
            }
        }
    }

    /// Instructions that there are no kernels for, or that this processor lacks.
    private static func refuseInstructions() throws {
        guard let asked = ProcessInfo.processInfo.environment[InstructionSet.variable], !asked.isEmpty else { return }
        let options = InstructionSet.all.map(\.option), all = ["plain", "avx2", "avx512"]
        guard all.contains(asked) else {
            throw Failure(
                .usage,
                "\(InstructionSet.variable) is '\(asked)', which are no instructions that there are kernels for",
                remedy: Spelling.suggestion(for: asked, among: all) + "They are \(all.joined(separator: ", ")).")
        }
        guard options.contains(asked) else {
            throw Failure(
                .usage, "\(InstructionSet.variable) is '\(asked)', which the processor of \(hostName) lacks",
                remedy: "It has \(options.joined(separator: ", ")); unset the variable for the last of these.")
        }
    }

    /// A variable of a script that is not set: no file's name and no value is empty. `train` says what it misses
    /// itself.
    private static func refuseEmpty(_ arguments: ArraySlice<String>) throws {
        guard arguments.first != "train", let empty = arguments.firstIndex(of: "") else { return }
        let option =
            arguments[..<empty].last.map { $0.hasPrefix("-") ? $0 : "an argument after '\($0)'" } ?? "the command"
        throw ValidationError("\(option) is empty.")
    }

    /// `--seed -1` as `--seed=-1`: the argument parser takes what begins with a minus for an option of its own.
    private static func joiningNegativeNumbers(_ arguments: ArraySlice<String>) -> [String] {
        arguments.reduce(into: []) { joined, argument in
            if argument.hasPrefix("-"), argument.dropFirst().first.map({ $0.isNumber || $0 == "." }) == true,
                let option = joined.last, option.hasPrefix("-"), option != "--", !option.contains("=")
            {
                joined[joined.count - 1] = "\(option)=\(argument)"
            } else {
                joined.append(argument)
            }
        }
    }

    /// The argument parser's message, with the reason where a whole number is not taken.
    private static func explained(_ message: String) -> String {
        var lines = message.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        let quoted = lines[0].split(separator: "'")
        guard lines[0].hasPrefix("Error: The value '"), quoted.count > 1 else { return message }
        let isNegative = quoted[1].hasPrefix("-"), digits = quoted[1].drop { $0 == "-" || $0 == "+" }
        guard !digits.isEmpty, digits.allSatisfy(\.isWholeNumber) else { return message }
        lines[0] += ": it is \(isNegative ? "below" : "above") all numbers that are taken here"
        return lines.joined(separator: "\n")
    }

    /// A help text with its example, which the argument parser puts before the options and wraps, at its end and as
    /// it was written.
    private static func exampleLast(_ help: String, unwrapped: String) -> String {
        func example(_ text: String) -> Range<String.Index>? {
            guard let start = text.range(of: "Example:\n"),
                let end = text.range(of: "\n\n", range: start.upperBound ..< text.endIndex)
            else { return nil }
            return start.lowerBound ..< end.upperBound
        }
        guard let wrapped = example(help), let written = example(unwrapped) else { return help }
        let rest = help[..<wrapped.lowerBound] + help[wrapped.upperBound...]
        return [String(rest), String(unwrapped[written])].map { $0.trimmingCharacters(in: .newlines) }.joined(
            separator: "\n\n")
    }

    /// Whether the argument parser made the error: wrong usage, or a request for help.
    private static func isArgumentParsers(_ error: any Error) -> Bool {
        error is CleanExit || exitCode(for: error) != .failure
    }
}

/// Refuses a value of `option` that is outside `allowed`.
func check(_ option: String, _ value: Int, _ allowed: ClosedRange<Int>) throws {
    guard allowed.contains(value) else {
        throw ValidationError("\(option) \(value) is not within \(allowed.lowerBound) … \(allowed.upperBound).")
    }
}
