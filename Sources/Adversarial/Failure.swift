/// The exit codes that batch scripts may rely on.
public enum ExitCode: Int32, Sendable {
    case usage = 64
    case badData = 65
    case missingInput = 66
    case internalError = 70
    case cannotCreate = 73
    case inputOutput = 74
    case stoppedOnRequest = 75
    case badConfiguration = 78
    case diverged = 80
}

/// Why the program cannot go on: one sentence that names the file, key or rank and the value, one that says what to do, and
/// the exit code.
public struct Failure: Error, CustomStringConvertible {
    public let code: ExitCode
    public let message: String
    public let remedy: String

    public init(_ code: ExitCode, _ message: String, remedy: String) {
        self.code = code
        self.message = message
        self.remedy = remedy
    }

    static func configuration(_ key: String, _ problem: String, remedy: String) -> Failure {
        Failure(.badConfiguration, "configuration: \(key): \(problem)", remedy: remedy)
    }

    public var description: String { remedy.isEmpty ? message : message + "\n" + remedy }
}
