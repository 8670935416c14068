import Adversarial
import Foundation
import Storage
import Support

/// `metrics.jsonl`: one JSON object a logged step, with the names of the interface. Rank 0 alone writes it.
///
/// A line is written whole by one call, so that a killed run leaves at most one torn line, which the resumed run
/// removes.
final class MetricsLog {
    private let path: String
    private var handle: FileHandle

    /// Opens the log, cut back to its lines up to `step`, so that no step appears twice after a resume.
    init(path: String, keepingThrough step: Int) throws(Failure) {
        self.path = path
        do {
            if let text = try? String(contentsOfFile: path, encoding: .utf8) {
                let kept = text.split(separator: "\n").filter { Self.step(of: $0).map { $0 <= step } ?? false }
                let cut = kept.map { $0 + "\n" }.joined()
                if cut != text { try cut.write(toFile: path, atomically: true, encoding: .utf8) }
            } else if !FileManager.default.createFile(atPath: path, contents: nil) {
                throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO)
            }
            handle = try Self.open(path)
        } catch {
            throw Failure(
                .cannotCreate, "\(path): cannot be opened for writing: \(SystemError.text(of: error))",
                remedy: SystemError.remedy(of: error, path, writing: true))
        }
    }

    private static func open(_ path: String) throws -> FileHandle {
        let handle = try FileHandle(forUpdating: URL(fileURLWithPath: path))
        try handle.seekToEnd()
        return handle
    }

    private static func object(_ line: Substring) -> [String: Any]? {
        try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
    }

    private static func step(of line: Substring) -> Int? { object(line)?["step"] as? Int }

    /// What was found at the evaluated steps up to `step`, in their order; none where there is no log.
    static func evaluations(path: String, through step: Int) -> [(step: Int, figures: [String: Double])] {
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else { return [] }
        return text.split(separator: "\n").compactMap { line in
            guard line.contains("\"evaluation_"), let object = object(line), let number = object["step"] as? Int,
                number <= step
            else { return nil }
            return (number, object.compactMapValues { ($0 as? NSNumber)?.doubleValue })
        }
    }

    func append(_ line: MetricsLine) throws(Failure) { try append(step: line.report.step, line.figures) }

    /// A logged step with its figures.
    func append(step: Int, _ figures: [(name: String, value: Double?)]) throws(Failure) {
        try writing {
            let line = try MetricsLine.json([("step", Double(step))] + figures)
            try handle.write(contentsOf: Data((line + "\n").utf8))
        }
    }

    /// Adds figures to the line of `step`, the last one, or makes it.
    func amend(step: Int, _ figures: [Figure]) throws(Failure) {
        guard !figures.isEmpty else { return }
        try writing {
            var lines = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").map(String.init)
            var line = try MetricsLine.json([("step", Double(step))])
            if let last = lines.last, Self.step(of: last[...]) == step { line = lines.removeLast() }
            let more = try MetricsLine.json(figures.map { ($0.name, $0.value) })
            lines.append(line.dropLast() + ", " + more.dropFirst())
            try lines.map { $0 + "\n" }.joined().write(toFile: path, atomically: true, encoding: .utf8)
            handle = try Self.open(path)
        }
    }

    private func writing(_ body: () throws -> Void) throws(Failure) {
        do { try body() } catch {
            throw Failure(
                .inputOutput, "\(path): cannot be written: \(SystemError.text(of: error))",
                remedy: SystemError.remedy(of: error, path, writing: true)
                    + " --resume auto goes on from the newest checkpoint.")
        }
    }
}

/// One logged step: the report of the step with what it cost.
struct MetricsLine {
    let report: any TrainingReport
    let epoch: Double
    let samplesSeen: Int
    let throughput: Throughput
    /// σ of each weight that is divided by it, `sigma/discriminator/0.dense/weight`.
    let spectralNorms: [(name: String, sigma: Double)]
    /// Of a step that was evaluated.
    var evaluation: [Figure] = []

    /// Every figure but the step, under its name; nil where the objective gives it no meaning.
    var figures: [(name: String, value: Double?)] {
        [("epoch", epoch), ("samples_seen", Double(samplesSeen))] + report.figures(spectralNorms: spectralNorms) + [
            ("samples_per_second", throughput.samplesPerSecond), ("seconds_step", throughput.secondsPerStep),
            ("seconds_compute", throughput.secondsPerStep(.compute) + throughput.secondsPerStep(.optimiser)),
            ("seconds_communication", throughput.secondsPerStep(.communication)),
            ("seconds_data", throughput.secondsPerStep(.data)), ("time", Date().timeIntervalSince1970),
        ] + evaluation.map { ($0.name, $0.value) }
    }

    /// One object on a line, its keys in the order given, as a `JSONEncoder` of the whole would not keep them: people
    /// read the file too, from the step on. Numbers have the digits that give the same Double back; one that is not
    /// finite is null, for JSON has no other word.
    static func json(_ figures: [(name: String, value: Double?)]) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .withoutEscapingSlashes
        func text(_ value: some Encodable) throws -> String {
            String(decoding: try encoder.encode(value), as: UTF8.self)
        }
        let pairs = try figures.map { try "\(text($0)): \(text($1?.isFinite == true ? $1 : nil))" }
        return "{\(pairs.joined(separator: ", "))}"
    }
}
