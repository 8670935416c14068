import Glibc
import Kernels
import Support

/// One array of a trace.
public struct TraceArray: Sendable {
    enum Values: Sendable {
        case floats([Float])
        case integers([Int64])
    }

    public let path: String
    /// Empty for a single number.
    public let dimensions: [Int]
    let values: Values

    public init(_ path: String, _ dimensions: [Int], _ values: [Float]) {
        precondition(
            dimensions.reduce(1, *) == values.count, "\(path): \(values.count) values for the dimensions \(dimensions)")
        (self.path, self.dimensions, self.values) = (path, dimensions, .floats(values))
    }

    public init(_ path: String, _ dimensions: [Int], _ values: Floats) { self.init(path, dimensions, values.array) }

    public init(_ path: String, _ value: Float) { self.init(path, [], [value]) }

    public init(_ path: String, indices: [Int]) {
        (self.path, dimensions, values) = (path, [indices.count], .integers(indices.map { Int64($0) }))
    }
}

/// A file of named arrays that grows step by step, for comparing with another implementation. Between two calls it is
/// closed, so that a run which is killed leaves all finished steps readable.
public final class TraceWriter {
    public let path: String

    /// Makes the file with attributes of its root; one that exists is refused.
    public init(_ path: String, attributes: [(name: String, value: AttributeValue)]) throws(Failure) {
        try AtomicFile.refuseExisting(path, replacing: false)
        self.path = path
        let file = try HDF5File.openToWrite(path, create: true)
        for (name, value) in attributes { try file.root.setAttribute(name, value) }
        try file.close()
    }

    /// Adds arrays, with the groups along their paths.
    public func append(_ arrays: [TraceArray]) throws(Failure) {
        let file = try HDF5File.openToWrite(path, create: false)
        for array in arrays {
            let path = array.path.hasPrefix("/") ? array.path : "/" + array.path
            switch array.values {
            case .floats(let values): try file.write(path, array.dimensions, values)
            case .integers(let values): try file.write(path, array.dimensions, values)
            }
        }
        try file.close()
    }
}
