import Foundation
import Storage
import Support

/// The folder of a run: where each of its files lies. The names are the interface's.
public struct RunFolder: Sendable {
    public let path: String

    public init(_ path: String) { self.path = path }

    public var configuration: String { path + "/config.yaml" }
    public var metrics: String { path + "/metrics.jsonl" }
    public var log: String { path + "/log.txt" }
    public var samples: String { path + "/samples" }
    public var checkpoints: String { path + "/checkpoints" }
    public var lock: String { path + "/lock" }
    /// Each rank's last sign of life, while a job runs.
    public var heartbeats: String { path + "/heartbeats" }
    /// A file that somebody makes to have the run stop at its next step.
    public var stopRequest: String { path + "/stop" }

    /// What `report` makes.
    public var report: String { path + "/report.html" }
    /// What `evaluate --json` printed and `nearest` drew, where somebody keeps it here: the report shows it.
    public var evaluation: String { path + "/evaluation.json" }
    public var nearest: String { path + "/nearest.png" }
    /// What evaluations during the run share.
    public var realFeatures: String { path + "/real-features.h5" }
    /// The fixed latents over the run.
    public var animation: String { samples + "/fixed-latents.gif" }

    /// The steps of which there are pictures, in order.
    public var sampleSteps: [Int] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: samples)) ?? []
        return names.filter { $0.hasPrefix("step-") && $0.hasSuffix(".png") }.compactMap {
            Int($0.dropFirst(5).dropLast(4))
        }.sorted()
    }

    public func sample(step: Int) -> String { samples + String(format: "/step-%08d.png", step) }

    /// Of an autoencoder: examples beside their reconstructions.
    public func reconstructions(step: Int) -> String { samples + String(format: "/reconstructions-%08d.png", step) }

    /// Whether a run has left something here that a new one would mix with.
    public var holdsRun: Bool {
        [configuration, metrics].contains { FileManager.default.fileExists(atPath: $0) }
            || !((try? FileManager.default.contentsOfDirectory(atPath: checkpoints)) ?? []).isEmpty
    }

    /// Makes the folder and those in it; throws 73.
    public func create() throws(Failure) {
        for folder in [path, samples, checkpoints] { try Self.create(folder) }
    }

    /// Makes an empty folder for the heartbeats of a job; for the holder of the lock.
    func createHeartbeats() throws(Failure) {
        try? FileManager.default.removeItem(atPath: heartbeats)
        try Self.create(heartbeats)
    }

    private static func create(_ folder: String) throws(Failure) {
        // Foundation's call makes the same, and keeps the system's reason to itself.
        var made = folder.hasPrefix("/") ? "/" : ""
        for part in folder.split(separator: "/") {
            made += part + "/"
            guard mkdir(made, 0o777) != 0 else { continue }
            let number = errno
            var isFolder: ObjCBool = false
            if FileManager.default.fileExists(atPath: made, isDirectory: &isFolder), isFolder.boolValue { continue }
            let reason = number == EEXIST ? "\(made.dropLast()) is a file" : SystemError.text(number)
            throw Failure(
                .cannotCreate, "\(folder): the run folder cannot be created: \(reason)",
                remedy: number == EEXIST
                    ? "Name another with --run." : SystemError.remedy(number, folder, writing: true))
        }
    }

    /// Removes the temporary files of a job that was killed. Only for the holder of the lock.
    func removeLeftovers() {
        CheckpointFolder(checkpoints, keep: 1).removeLeftovers()
        // `.dat.nosync…` is what Foundation names a file that it writes atomically.
        for (folder, marks) in [
            (path, ["lock.", ".config.yaml.", ".dat.nosync", ".real-features."]),
            (samples, [".step-", ".fixed-latents.", ".reconstructions-"]),
        ] {
            let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
            for name in names where marks.contains(where: name.hasPrefix) { unlink(folder + "/" + name) }
        }
    }

    /// `runs/NAME`, or the first of `runs/NAME-2`, `runs/NAME-3`, … that does not exist.
    public static func unused(name: String) -> RunFolder {
        var folder = RunFolder("runs/\(name)")
        var number = 2
        while FileManager.default.fileExists(atPath: folder.path) {
            folder = RunFolder("runs/\(name)-\(number)")
            number += 1
        }
        return folder
    }
}
