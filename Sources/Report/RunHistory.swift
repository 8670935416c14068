import Adversarial
import Foundation
import Recipes
import Runs
import Support

/// What a run's folder tells of it: its configuration, its logged figures, its pictures and, where somebody made it,
/// its evaluation.
struct RunHistory {
    let folder: RunFolder
    let model: ModelConfiguration
    /// The logged steps, in order.
    let steps: [Double]
    private let lines: [[String: Double]]
    /// By measure; empty without `evaluation.json` (the output of `evaluate --json`).
    let evaluation: [Measure]

    struct Measure {
        let name: String
        let value: String
        let standardError: String?
        /// What else it found, and its settings, in one line.
        let more: String
    }

    /// Throws 66 where there is no run, 65 where its files are not those of one.
    init(_ path: String) throws {
        folder = RunFolder(path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path)
        guard let yaml = try? String(contentsOfFile: folder.configuration, encoding: .utf8) else {
            throw Failure(
                .missingInput, "\(path): it is not the folder of a run: it has no config.yaml",
                remedy: "Name folders that gan-dist train made.")
        }
        model = try ModelConfiguration(stored: yaml, source: folder.configuration)
        guard let log = try? String(contentsOfFile: folder.metrics, encoding: .utf8) else {
            throw Failure(
                .missingInput, "\(folder.metrics): it cannot be read",
                remedy: "Wait until the run has logged its first step.")
        }
        let parsed = log.split(separator: "\n").map { line in
            (try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])?.compactMapValues {
                ($0 as? NSNumber)?.doubleValue
            }
        }
        // The line that a running or killed job is writing may be torn; no other.
        guard !parsed.dropLast().contains(where: { $0?["step"] == nil }) else {
            throw Failure(
                .badData, "\(folder.metrics): a line is not that of a logged step", remedy: "Mend or remove that line.")
        }
        lines = parsed.compactMap { $0?["step"] == nil ? nil : $0 }
        steps = lines.compactMap { $0["step"] }
        evaluation = try Self.evaluation(folder.evaluation)
    }

    /// Of a run of two players.
    var game: Configuration? { model.game }

    /// The logged values of a figure; NaN where a step lacks it.
    func values(_ name: String) -> [Double] { lines.map { $0[name] ?? .nan } }

    /// Whether its G and E lower the reconstruction, and its D judges codes: an adversarial autoencoder.
    var judgesCodes: Bool { if case .adversarialAutoencoder = game?.encoder?.kind { true } else { false } }

    /// What this run calls a figure by which runs of several models are compared; nil where it has none.
    func compared(_ figure: String) -> String? {
        guard judgesCodes else { return figure }
        return switch figure {
        case "loss_reconstruction": "loss_generator"
        case "loss_generator", "d_real", "d_fake", "value": nil
        default: figure
        }
    }

    /// The minutes that its steps took, of which each line says how long one took since the line before.
    var minutes: Double {
        let seconds = zip(zip(steps, [0] + steps), values("seconds_step")).map { ($0.0 - $0.1) * $1 }
        return seconds.filter(\.isFinite).reduce(0, +) / 60
    }

    /// The names of the spectral norms that are logged.
    var spectralNorms: [String] { (lines.last ?? [:]).keys.filter { $0.hasPrefix("sigma/") }.sorted() }

    /// What was measured while the run trained: the names in the log without `evaluation_`.
    var evaluationFigures: [String] {
        Set(lines.flatMap(\.keys)).filter { $0.hasPrefix("evaluation_") && $0 != "evaluation_settings" }
            .map { String($0.dropFirst(11)) }.sorted()
    }

    /// The mean of a figure over the last tenth of the logged steps; nil where there is none.
    func lately(_ name: String) -> Double? {
        let values = values(name).suffix(max(1, lines.count / 10)).filter(\.isFinite)
        return values.isEmpty ? nil : values.reduce(0, +) / Double(values.count)
    }

    private static func evaluation(_ path: String) throws -> [Measure] {
        guard let data = FileManager.default.contents(atPath: path) else { return [] }
        guard let object = try? JSONSerialization.jsonObject(with: data) as? [String: [String: Any]] else {
            throw Failure(
                .badData, "\(path): it is not what gan-dist evaluate --json prints",
                remedy: "Make it again, or remove it.")
        }
        return object.sorted { $0.key < $1.key }.map { name, found in
            let settings = (found["settings"] as? [String: Any] ?? [:]).sorted { $0.key < $1.key }.map {
                "\($0.key.replacing("_", with: " ")) \(text($0.value))"
            }
            let rest = found.filter {
                !["value", "standard_error", "settings"].contains($0.key) && !($0.value is [Any])
            }
            .sorted { $0.key < $1.key }.map { "\($0.key.replacing("_", with: " ")) \(text($0.value))" }
            return Measure(
                name: name, value: found["value"].map(text) ?? "?", standardError: found["standard_error"].map(text),
                more: rest.joined(separator: ", ") + (settings.isEmpty ? "" : " (\(settings.joined(separator: ", ")))"))
        }
    }

    private static func text(_ value: Any) -> String {
        (value as? NSNumber).map { String(format: "%.6g", $0.doubleValue) } ?? "\(value)"
    }
}
