/// The exit codes that batch scripts may rely on.
public enum ExitCode: Int32, Codable, Sendable {
    case usage = 64
    /// Unreadable, cut, of the wrong shape or type, a checksum that is wrong.
    case badData = 65
    /// An input file does not exist or may not be read.
    case missingInput = 66
    /// A fault of the program, of MPI or of the machine; ranks that disagree; a stall; no memory.
    case internalError = 70
    /// An output file or folder cannot be made.
    case cannotCreate = 73
    /// Reading or writing failed while running: disk full, device error.
    case inputOutput = 74
    case stoppedOnRequest = 75
    case badConfiguration = 78
    case diverged = 80
}

/// Why the program cannot go on: one sentence that names the file, key or rank and the value, one that says what to
/// do, and the exit code.
public struct Failure: Error, Codable, Sendable, CustomStringConvertible {
    public let code: ExitCode
    public let message: String
    public let remedy: String
    /// The key of the configuration that it is about, as long as nobody has said where that stands.
    private var key: String?

    public init(_ code: ExitCode, _ message: String, remedy: String) {
        self.code = code
        self.message = message
        self.remedy = remedy
        key = nil
    }

    public static func badData(_ message: String, remedy: String) -> Failure {
        Failure(.badData, message, remedy: remedy)
    }

    /// `key`: the configuration's, such as `training.batch`.
    public static func configuration(_ key: String, _ problem: String, remedy: String) -> Failure {
        var failure = Failure(.badConfiguration, prefix + "\(key): \(problem)", remedy: remedy)
        failure.key = key
        return failure
    }

    private static let prefix = "configuration: "

    /// The same with the file, or the option, that `place` gives for its key.
    public func placed(_ place: (String) -> String) -> Failure {
        guard let key else { return self }
        return Failure(code, Self.prefix + "\(place(key)): " + message.dropFirst(Self.prefix.count), remedy: remedy)
    }

    /// The same with the configuration's file in it, for a failure that has no more than the key.
    public func placed(in source: String) -> Failure {
        guard code == .badConfiguration, message.hasPrefix(Self.prefix) else { return self }
        return Failure(code, Self.prefix + "\(source): " + message.dropFirst(Self.prefix.count), remedy: remedy)
    }

    /// Any error as a failure with an exit code: what has none of its own is an internal error.
    public static func of(_ error: any Error) -> Failure {
        switch error {
        case let failure as Failure: failure
        case let agreed as AgreedFailure: agreed.failure
        default: Failure(.internalError, "\(error)", remedy: "")
        }
    }

    public var description: String { remedy.isEmpty ? message : message + "\n" + remedy }
}

/// A failure that every rank has agreed on: all leave in order, and rank 0 alone says why.
public struct AgreedFailure: Error, CustomStringConvertible {
    public let failure: Failure

    public init(_ failure: Failure) { self.failure = failure }

    public var description: String { failure.description }
}
