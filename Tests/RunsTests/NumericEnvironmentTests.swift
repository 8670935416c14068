import Storage
import Support
import Testing
@testable import Runs

@Suite struct NumericEnvironmentTests {
    @Test func anOlderVersionOfTheProgramIsNamed() {
        let mine = NumericEnvironment()
        let same = mine.parts.map { (name: $0.name, value: AttributeValue.string($0.value)) }
        func differences(_ version: String) -> [String] {
            mine.differences(
                from: CheckpointContents(attributes: same + [("program_version", .string(version))], arrays: []))
        }
        #expect(differences(Program.version) == [])
        #expect(differences("0.1.0") == ["program_version is \(Program.version), was 0.1.0"])
    }
}
