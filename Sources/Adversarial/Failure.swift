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

/// Why the program cannot go on: one sentence that names the file, key or rank and the value, one that says what to
/// do, and the exit code.
public struct Failure: Error, CustomStringConvertible {
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

    static func configuration(_ key: String, _ problem: String, remedy: String) -> Failure {
        var failure = Failure(.badConfiguration, prefix + "\(key): \(problem)", remedy: remedy)
        failure.key = key
        return failure
    }

    private static let prefix = "configuration: "

    /// The same with the file, or the option, that `place` gives for its key.
    func placed(_ place: (String) -> String) -> Failure {
        guard let key else { return self }
        return Failure(code, Self.prefix + "\(place(key)): " + message.dropFirst(Self.prefix.count), remedy: remedy)
    }

    /// The same with the configuration's file in it, for a failure that has no more than the key.
    func placed(in source: String) -> Failure {
        guard code == .badConfiguration, message.hasPrefix(Self.prefix) else { return self }
        return Failure(code, Self.prefix + "\(source): " + message.dropFirst(Self.prefix.count), remedy: remedy)
    }

    public var description: String { remedy.isEmpty ? message : message + "\n" + remedy }
}
