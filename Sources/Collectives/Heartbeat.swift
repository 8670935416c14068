import Glibc

/// What a rank is doing, for the report of a stall.
public enum Phase: Int, CaseIterable, Sendable {
    case starting, data, discriminator, generator, exchange, samples, evaluation, checkpoint, ending
    case encoder, mixture

    public var name: String { "\(self)" }

    /// Whether it may rightly last long: reading a dataset, writing a checkpoint to a slow disk.
    var mayLast: Bool {
        switch self {
        case .starting, .samples, .evaluation, .checkpoint, .ending: true
        case .data, .discriminator, .generator, .encoder, .mixture, .exchange: false
        }
    }
}

/// The last sign of life of a rank.
struct Heartbeat: Equatable {
    let rank: Int
    let host: String
    /// How many phases the rank has entered since its start. All ranks go through the same ones: the lowest number is
    /// the one behind.
    var beat: Int
    /// How often the rank's watching thread has written this: it goes on while the main thread is stuck, and stands
    /// still when the process is stopped or its host is lost.
    var pulse: Int
    var step: Int
    var phase: Phase

    /// One line of fixed length, so that a reader never sees a longer one's remains.
    var line: String {
        let text = "\(beat) \(pulse) \(step) \(phase.rawValue) \(host)"
        return text + String(repeating: " ", count: max(0, 159 - text.utf8.count)) + "\n"
    }

    init(rank: Int, host: String, beat: Int, pulse: Int, step: Int, phase: Phase) {
        self.rank = rank
        self.host = host
        self.beat = beat
        self.pulse = pulse
        self.step = step
        self.phase = phase
    }

    init?(rank: Int, line: String) {
        let words = line.split { $0 == " " || $0 == "\n" }
        guard words.count == 5, let beat = Int(words[0]), let pulse = Int(words[1]), let step = Int(words[2]),
            let number = Int(words[3]),
            let phase = Phase(rawValue: number)
        else { return nil }
        self.init(rank: rank, host: String(words[4]), beat: beat, pulse: pulse, step: step, phase: phase)
    }
}

/// The heartbeats of all ranks as files of a folder, `rank-0`, `rank-1`, …: they are read when MPI is stuck, so they
/// cannot go through it.
struct HeartbeatFiles {
    let folder: String

    func path(of rank: Int) -> String { "\(folder)/rank-\(rank)" }

    /// Best effort: a heartbeat that cannot be written must not end a run.
    func write(_ heartbeat: Heartbeat) {
        let file = open(path(of: heartbeat.rank), O_CREAT | O_WRONLY | O_CLOEXEC, 0o644)
        if file < 0 { return }
        let bytes = Array(heartbeat.line.utf8)
        _ = pwrite(file, bytes, bytes.count, 0)
        close(file)
    }

    func read(rank: Int) -> Heartbeat? {
        let file = open(path(of: rank), O_RDONLY | O_CLOEXEC)
        if file < 0 { return nil }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 256)
        let count = pread(file, &bytes, bytes.count, 0)
        return count > 0 ? Heartbeat(rank: rank, line: String(decoding: bytes.prefix(count), as: UTF8.self)) : nil
    }

    func remove(rank: Int) { unlink(path(of: rank)) }
}

/// Who keeps the others waiting, judged by two readings of the heartbeats of all ranks, some seconds apart.
///
/// Ranks whose pulse stands still come first: a rank that was stopped while it waited inside MPI is as far as the
/// others. Else it is those that have entered the fewest phases.
struct Stall {
    let stragglers: [Heartbeat]
    /// The rank that prints: the lowest that is alive and, if there is one, not itself behind.
    let printer: Int
    let isEveryone: Bool
    /// No process stands still, and all that are behind are in a phase that may last: not a reason to end the job.
    let mayLast: Bool

    /// `now` has at least one rank.
    init(_ now: [Heartbeat], earlier: [Heartbeat]) {
        let pulses = Dictionary(uniqueKeysWithValues: earlier.map { ($0.rank, $0.pulse) })
        let stopped = now.filter { pulses[$0.rank] == $0.pulse }
        let alive = now.filter { pulses[$0.rank] != $0.pulse }
        let lowest = now.map(\.beat).min()!
        stragglers = stopped.isEmpty ? now.filter { $0.beat == lowest } : stopped
        isEveryone = stragglers.count == now.count
        mayLast = stopped.isEmpty && stragglers.allSatisfy(\.phase.mayLast)
        printer = (alive.first { $0.beat > lowest } ?? alive.first ?? now[0]).rank
    }

    func message(seconds: Int) -> String {
        let first = stragglers[0]
        if isEveryone, stragglers.count > 1 {
            return
                "no rank has made progress for \(seconds) s: "
                + "all \(stragglers.count) are at step \(first.step), phase \(first.phase.name)"
        }
        let names = stragglers.prefix(4).map {
            "rank \($0.rank) (host \($0.host)) is at step \($0.step), phase \($0.phase.name)"
        }
        let more = stragglers.count > 4 ? ", and \(stragglers.count - 4) more ranks" : ""
        return "no progress for \(seconds) s: \(names.joined(separator: "; "))\(more)"
            + (isEveryone ? "" : "; the other ranks wait")
    }
}
