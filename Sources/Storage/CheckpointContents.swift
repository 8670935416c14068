import Kernels
import Support

/// One stored array: its path in the file, its dimensions, what they mean, and its values, float32 or float64.
public struct CheckpointArray: Sendable {
    /// Such as `generator/0.dense/weight`.
    public let path: String
    public let dimensions: [Int]
    /// What the dimensions are, such as "in,out" or "height,width,in,out".
    public let layout: String
    private let storage: Values

    private enum Values: Sendable {
        case view(Floats)
        case owned([Float])
        case double([Double])
    }

    /// For writing: `values` are a view, which must stay as it is until the image is built.
    public init(path: String, dimensions: [Int], layout: String, values: Floats) {
        precondition(
            dimensions.reduce(1, *) == values.count, "\(path): \(values.count) values for the dimensions \(dimensions)")
        (self.path, self.dimensions, self.layout, storage) = (path, dimensions, layout, .view(values))
    }

    public init(path: String, dimensions: [Int], layout: String, values: [Float]) {
        precondition(
            dimensions.reduce(1, *) == values.count, "\(path): \(values.count) values for the dimensions \(dimensions)")
        (self.path, self.dimensions, self.layout, storage) = (path, dimensions, layout, .owned(values))
    }

    /// Stored as float64.
    public init(path: String, dimensions: [Int], layout: String, doubles values: [Double]) {
        precondition(
            dimensions.reduce(1, *) == values.count, "\(path): \(values.count) values for the dimensions \(dimensions)")
        (self.path, self.dimensions, self.layout, storage) = (path, dimensions, layout, .double(values))
    }

    public var count: Int { dimensions.reduce(1, *) }

    /// The values, where they are float64.
    public var doubles: [Double]? { if case .double(let values) = storage { values } else { nil } }

    /// The values copied; rounded where they are float64.
    public var array: [Float] {
        switch storage {
        case .view(let values): values.array
        case .owned(let values): values
        case .double(let values): values.map { Float($0) }
        }
    }

    /// Copies the values to `target`, which has room for exactly them.
    public func copy(to target: Floats) {
        precondition(target.count == count, "\(path): \(count) values copied to room for \(target.count)")
        withValues { target.base.update(from: $0.baseAddress!, count: $0.count) }
    }

    func withValues<Result, Failure: Error>(
        _ body: (UnsafeBufferPointer<Float>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        switch storage {
        case .view(let values): return try body(UnsafeBufferPointer(start: values.base, count: values.count))
        case .owned(let values):
            let result: Swift.Result<Result, Failure> = values.withUnsafeBufferPointer { buffer in
                Swift.Result { () throws(Failure) in try body(buffer) }
            }
            return try result.get()
        case .double: preconditionFailure("\(path) is float64")
        }
    }
}

/// What a checkpoint holds: attributes of the root in the order they are written, and arrays.
///
/// `format` and `format_version` are added by the file itself; `step` must be there.
public struct CheckpointContents: Sendable {
    public static let format = "gan-dist-checkpoint"
    public static let formatVersion = 1

    public var attributes: [(name: String, value: AttributeValue)]
    public var arrays: [CheckpointArray]

    public init(attributes: [(name: String, value: AttributeValue)], arrays: [CheckpointArray]) {
        self.attributes = attributes
        self.arrays = arrays
    }

    public func attribute(_ name: String) -> AttributeValue? { attributes.first { $0.name == name }?.value }
    public func array(_ path: String) -> CheckpointArray? { arrays.first { $0.path == path } }

    public func integer(_ name: String) -> Int? {
        if case .integer(let value)? = attribute(name) { value } else { nil }
    }

    public func string(_ name: String) -> String? {
        if case .string(let value)? = attribute(name) { value } else { nil }
    }

    /// How many values all arrays of float32 have together.
    public var valueCount: Int { arrays.reduce(0) { $0 + ($1.doubles == nil ? $1.count : 0) } }

    /// The same with the values copied into `room`, which has ``valueCount`` of them: a view of that.
    public func copied(into room: Floats) -> CheckpointContents {
        var start = 0
        let copies = arrays.map { array in
            // Those of float64 are values of their own, no views.
            guard array.doubles == nil else { return array }
            let values = room[start ..< start + array.count]
            array.copy(to: values)
            start += array.count
            return CheckpointArray(path: array.path, dimensions: array.dimensions, layout: array.layout, values: values)
        }
        return CheckpointContents(attributes: attributes, arrays: copies)
    }

    /// The number of finished steps.
    public var step: Int { integer("step") ?? 0 }
}
