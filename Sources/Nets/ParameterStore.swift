import Kernels

/// All numbers of one network that last beyond a step: one flat buffer for the values, one for running statistics.
/// Gradients, moments and averages have the layout of the values. Each parameter starts on a cache line; the padding
/// between stays zero in all of them, so that messages, updates and norms work on whole ranges.
public final class ParameterStore {
    public struct Entry: Sendable {
        /// The number of the layer's node in its network, and its ``NetworkNode/path``.
        public let layer: Int
        public let path: String
        public let specification: ParameterSpec
        /// Where it lies in the flat buffers, without padding.
        public let range: Range<Int>
        /// `0.dense/weight`, `3.residual/body/0.dense/weight`: its name in checkpoints and traces.
        public var name: String { "\(path)/\(specification.name)" }

        /// Its values in a flat buffer of the store's layout.
        public func values(in flat: Floats) -> ParameterValues {
            ParameterValues(stored: flat[range], panels: specification.panels)
        }
    }

    public struct StatisticEntry: Sendable {
        public let layer: Int
        public let path: String
        public let specification: StatisticSpec
        public let range: Range<Int>
        /// `1.batch_normalisation/mean`.
        public var name: String { "\(path)/\(specification.name)" }
    }

    public let entries: [Entry]
    public let statisticEntries: [StatisticEntry]
    public let values: FloatBuffer
    public let statistics: FloatBuffer

    /// 64 bytes: a cache line.
    private static let alignment = 16

    /// Makes room for the layers' parameters, in the order of the nodes. All values are zero until
    /// ``initialise(seed:role:only:)`` or a checkpoint fills them. `shapes`: of each value. `memory`: for the values,
    /// as many as ``count(of:shapes:)`` says; nil: the store takes its own.
    init(_ nodes: [NetworkNode], shapes: [Shape], in memory: FloatBuffer? = nil) {
        var entries: [Entry] = [], statisticEntries: [StatisticEntry] = []
        var count = 0, statisticCount = 0
        func take(_ size: Int, from end: inout Int) -> Range<Int> {
            defer { end += Self.padded(size) }
            return end ..< end + size
        }
        for (number, node) in nodes.enumerated() {
            let layer = node.layer, input = shapes[node.inputs[0]]
            for parameter in layer.parameters(for: input) {
                let range = take(parameter.count, from: &count)
                entries.append(Entry(layer: number, path: node.path, specification: parameter, range: range))
            }
            for statistic in layer.statistics(for: input) {
                let range = take(statistic.count, from: &statisticCount)
                statisticEntries.append(
                    StatisticEntry(layer: number, path: node.path, specification: statistic, range: range))
            }
        }
        self.entries = entries
        self.statisticEntries = statisticEntries
        precondition(memory == nil || memory?.count == count, "memory of \(memory?.count ?? 0) values for \(count)")
        values = memory ?? FloatBuffer(count: count)
        statistics = FloatBuffer(count: statisticCount)
    }

    private static func padded(_ count: Int) -> Int { (count + alignment - 1) / alignment * alignment }

    /// What ``count`` will be, before any memory is taken.
    static func count(of nodes: [NetworkNode], shapes: [Shape]) -> Int {
        nodes.reduce(0) { sum, node in
            node.layer.parameters(for: shapes[node.inputs[0]]).reduce(sum) { $0 + padded($1.count) }
        }
    }

    /// Values in the flat buffers, padding included: what messages and updates count.
    public var count: Int { values.count }

    /// Values that are learned, without padding.
    public var parameterCount: Int { entries.reduce(0) { $0 + $1.range.count } }

    /// The first values of all parameters and statistics.
    ///
    /// A pure function of its arguments: parameter e of the network with this `Player.Role`
    /// draws from a key of its own, on every rank alike. `only`: the parameters, by number, that are filled here where
    /// other ranks fill the others.
    public func initialise(seed: UInt64, role: Int, only isMine: (Int) -> Bool = { _ in true }) {
        for (number, entry) in entries.enumerated() where isMine(number) {
            let draws = Draws(seed: seed, purpose: .initialValues, step: number, inner: role)
            entry.values(in: values.values).set { entry.specification.initialise($0, draws) }
        }
        for entry in statisticEntries { statistics.values[entry.range].fill(entry.specification.initial) }
    }

    /// running ← (1 − momentum) · running + momentum · sums / samples, where `sums` (in the layout of ``statistics``)
    /// holds Σ n · (statistics of a batch of n examples) over all batches of a step and `samples` is Σ n.
    public func applyStatistics(_ sums: Floats, samples: Int) {
        precondition(sums.count == statistics.count, "\(sums.count) sums for \(statistics.count) statistics")
        precondition(samples > 0, "statistics of \(samples) samples")
        for number in statisticEntries.indices {
            let entry = statisticEntries[number]
            let running = statistics.values[entry.range], sums = sums[entry.range]
            let momentum = entry.specification.momentum
            for index in 0 ..< running.count {
                running[index] = (1 - momentum) * running[index] + momentum * (sums[index] / Float(samples))
            }
        }
    }
}

extension ParameterSpec {
    /// Writes the first values.
    func initialise(_ values: Floats, _ draws: Draws) {
        switch initialiser {
        case .zero, .marginals:
            values.fill(0)
        case .constant(let value):
            values.fill(value)
        case .normal(let deviation):
            draws.fillNormal(values, samples: 1, deviation: deviation)
        case .uniform(let bound):
            draws.fillUniform(values, samples: 1, low: -bound, high: bound)
        case .he:
            draws.fillNormal(values, samples: 1, deviation: (2 / Float(fanIn)).squareRoot())
        case .scaledHe(let gain):
            draws.fillNormal(values, samples: 1, deviation: gain / Float(fanIn).squareRoot())
        case .glorot:
            let bound = (6 / Float(fanIn + fanOut)).squareRoot()
            draws.fillUniform(values, samples: 1, low: -bound, high: bound)
        case .orthogonal(let gain):
            draws.fillNormal(values, samples: 1, deviation: 1)
            let columns = dimensions.last!
            Orthonormalisation.orthonormalise(values, rows: count / columns, columns: columns, gain: gain)
        }
    }
}

extension ParameterStore {
    /// The parameters' parts of a flat buffer of this layout, with their names.
    public func named(_ flat: Floats) -> [(name: String, dimensions: [Int], values: ParameterValues)] {
        entries.map { ($0.name, $0.specification.dimensions, $0.values(in: flat)) }
    }
}
