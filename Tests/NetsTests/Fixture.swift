import Foundation
import Kernels
@testable import Nets
import Testing

/// One case of Fixtures/layers.{json,f32}, penalties.{json,f32}, conditions.{json,f32} or optimisers.{json,f32}, which
/// the scripts Tests/reference/make_{layer,penalty,condition,optimiser}_fixtures.py made with PyTorch.
struct Fixture {
    struct Array: Decodable, Sendable {
        let start: Int
        let dimensions: [Int]
    }

    /// A pair of files.
    struct File: Sendable {
        private struct Index: Decodable { let cases: [String: [String: Array]] }

        static let layers = File("layers"), penalties = File("penalties"), optimisers = File("optimisers"),
            conditions = File("conditions")

        let cases: [String: [String: Array]]
        let values: [Float]

        private init(_ name: String) {
            let folder = Bundle.module.resourceURL!.appendingPathComponent("Fixtures")
            func data(_ ending: String) -> Data {
                try! Data(contentsOf: folder.appendingPathComponent("\(name).\(ending)"))
            }
            cases = try! JSONDecoder().decode(Index.self, from: data("json")).cases
            values = data("f32").withUnsafeBytes {
                $0.bindMemory(to: UInt32.self).map { Float(bitPattern: UInt32(littleEndian: $0)) }
            }
        }
    }

    let name: String
    let file: File
    let arrays: [String: Array]

    init(_ name: String, in file: File = .layers) throws {
        (self.name, self.file) = (name, file)
        arrays = try #require(file.cases[name], "no case \(name) in the fixtures")
    }

    func dimensions(_ array: String) throws -> [Int] {
        try #require(arrays[array], "\(name): no array \(array) in the fixtures").dimensions
    }

    func values(_ array: String) throws -> [Float] {
        let place = try #require(arrays[array], "\(name): no array \(array) in the fixtures")
        return Swift.Array(file.values[place.start ..< place.start + place.dimensions.reduce(1, *)])
    }

    func shape(_ array: String) throws -> Shape {
        let dimensions = try dimensions(array)
        return dimensions.count == 4
            ? .image(height: dimensions[1], width: dimensions[2], channels: dimensions[3]) : .vector(dimensions[1])
    }

    /// The values in memory that is never freed: a view does not keep its buffer alive, and the arrays are small.
    func floats(_ array: String) throws -> Floats { lasting(try values(array)) }

    func batch(_ array: String) throws -> Batch {
        Batch(try floats(array), count: try dimensions(array)[0], shape: try shape(array))
    }

    /// The array's name for a parameter: whole in the networks, the parameter alone in the single layers.
    func key(_ entry: ParameterStore.Entry) -> String {
        arrays[entry.name] == nil ? entry.specification.name : entry.name
    }

    /// The layers as a network with the fixture's parameters, for batches of the fixture's size and one more.
    func network(_ layers: [any Layer], penalised: Bool = false) throws -> Network {
        let network = lasting(
            try Network(
                layers, input: shape("input"), capacity: dimensions("input")[0] + 1, name: name, penalised: penalised))
        for entry in network.store.entries {
            let array = key(entry)
            #expect(try dimensions(array) == entry.specification.dimensions, "\(name): \(array)")
            network.store.values.values[entry.range].copy(from: try floats(array))
        }
        return network
    }
}

/// Aligned memory with these values that lasts until the process ends.
func lasting(_ values: [Float]) -> Floats { Unmanaged.passRetained(FloatBuffer(values)).takeUnretainedValue().values }

/// The network, never freed: what it returns are views of its memory.
func lasting(_ network: Network) -> Network { Unmanaged.passRetained(network).takeUnretainedValue() }

/// Compares with the largest magnitude expected, as single values may cancel. NaN never passes.
func expectClose(
    _ values: Floats, _ expected: [Float], tolerance: Float = 1e-5, _ what: String,
    sourceLocation: SourceLocation = #_sourceLocation
) {
    guard values.count == expected.count else {
        Issue.record(
            "\(what): \(values.count) values where \(expected.count) were expected", sourceLocation: sourceLocation)
        return
    }
    let scale = expected.map(abs).max() ?? 0
    for index in 0 ..< values.count where !(abs(values[index] - expected[index]) <= tolerance * scale) {
        Issue.record(
            "\(what)[\(index)]: \(values[index]) where \(expected[index]) was expected", sourceLocation: sourceLocation)
        return
    }
}

func training(step: Int = 0) -> Mode { .training(Draws(seed: 1, purpose: .dropoutReal, step: step)) }
