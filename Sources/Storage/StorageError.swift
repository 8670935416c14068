/// What went wrong with a file: which one, which part of it, why, and what to do.
public struct StorageError: Error, Sendable, CustomStringConvertible {
    /// The kind decides the exit code of the program.
    public enum Kind: Int32, Sendable {
        /// Unreadable, truncated, of the wrong shape or type, checksum wrong.
        case badData = 65
        /// An input file does not exist or may not be read.
        case missing = 66
        /// An output file or folder cannot be made.
        case cannotCreate = 73
        /// Reading or writing failed while running: disk full, device error.
        case inputOutput = 74
    }

    public let kind: Kind
    /// One sentence that names the file and the dataset or key.
    public let message: String
    /// One sentence that says what to do.
    public let remedy: String

    public init(_ kind: Kind, _ message: String, remedy: String) {
        self.kind = kind
        self.message = message
        self.remedy = remedy
    }

    public var exitCode: Int32 { kind.rawValue }
    public var description: String { remedy.isEmpty ? message : "\(message)\n\(remedy)" }

    static func badData(_ message: String, remedy: String) -> StorageError {
        StorageError(.badData, message, remedy: remedy)
    }
}
