import Foundation
import Support
import Testing
@testable import Storage

/// A folder of its own for a test, removed with it.
final class TemporaryFolder {
    let path: String

    init() {
        var template = Array((NSTemporaryDirectory() + "storage-XXXXXX").utf8CString)
        precondition(mkdtemp(&template) != nil, "no temporary folder")
        path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String) -> String { path + "/" + name }
    var names: [String] { (try? FileManager.default.contentsOfDirectory(atPath: path))?.sorted() ?? [] }

    @discardableResult func write(_ name: String, _ bytes: [UInt8]) -> String {
        _ = FileManager.default.createFile(atPath: file(name), contents: Data(bytes))
        return file(name)
    }

    func read(_ name: String) -> [UInt8] { FileManager.default.contents(atPath: file(name)).map(Array.init) ?? [] }
}

func fixture(_ name: String) throws -> String {
    try #require(Bundle.module.path(forResource: "Fixtures/" + name, ofType: nil))
}

/// Runs `body`, which must throw a `Failure` of this kind whose text has all `parts`.
func expectError(
    _ kind: ExitCode, _ parts: String..., at location: SourceLocation = #_sourceLocation,
    _ body: () throws -> Void
) {
    do {
        try body()
        Issue.record("no error, where \(kind) was expected", sourceLocation: location)
    } catch let error as Failure {
        #expect(error.code == kind, "\(error)", sourceLocation: location)
        for part in parts {
            #expect(error.description.contains(part), "\(error) does not say \(part)", sourceLocation: location)
        }
        #expect(!error.remedy.isEmpty, "no remedy: \(error.message)", sourceLocation: location)
    } catch {
        Issue.record("not a Failure: \(error)", sourceLocation: location)
    }
}
